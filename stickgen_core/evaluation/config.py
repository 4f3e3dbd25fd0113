"""Every number of the evaluation: the evaluator's size, how many samples, which limits; protocols and prompt suites are files beside it."""

from typing import Literal

from pydantic import Field, PositiveInt

from stickgen_core.config import Section


class EvaluatorConfig(Section):
    """The text–motion network and the action classifier that judge; trained on the train split, never on what they judge.

    representation      motion (the sticks) | joints (the ceiling: what the sticks lose is the difference)
    text_branch         tokens (a word encoder trained here) | folder of a language model whose frozen token states are read (DistilBERT, MPNet)
    patch_frames        frames in one token
    unknown_share       words replaced by the unknown word in training, so that it has a meaning
    same_caption        word-weighted cosine above which two captions of a batch are not each other's negatives
    temperature, reconstruction, kl, latent, contrast    losses and their weights (TMR)
    classifier_noise    noise added to normalised motion when the classifier learns, so that it does not lean on smoothness
    seeds               how many evaluators are trained to see whether rankings depend on one
    """

    representation: Literal["motion", "joints"] = "motion"
    text_branch: str = "tokens"
    width: PositiveInt = 256
    layers: PositiveInt = 6
    decoder_layers: PositiveInt = 2
    heads: PositiveInt = 4
    feedforward: PositiveInt = 1024
    patch_frames: PositiveInt = 4
    max_actors: PositiveInt = 4
    max_words: PositiveInt = 48
    steps: PositiveInt = 20000
    batch: PositiveInt = 128
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    unknown_share: float = Field(default=0.05, ge=0, lt=1)
    same_caption: float = Field(default=0.9, gt=0, le=1)
    temperature: float = Field(default=0.1, gt=0)
    reconstruction: float = Field(default=1.0, ge=0)
    kl: float = Field(default=1e-5, ge=0)
    latent: float = Field(default=1e-5, ge=0)
    contrast: float = Field(default=0.1, ge=0)
    classifier_width: PositiveInt = 96
    classifier_layers: PositiveInt = 2
    classifier_steps: PositiveInt = 3000
    classifier_noise: float = Field(default=0.05, ge=0)
    seeds: PositiveInt = 3
    threads: PositiveInt = 1


class LimitsConfig(Section):
    """Limits of the stick-native measures; documented where seed values exist. What an artefact is, `curation.scores` says."""

    contact_height_m: float = Field(default=0.08, gt=0)
    contact_speed_m_s: float = Field(default=0.3, gt=0)
    longest_quantile: float = Field(default=0.999, gt=0, le=1)
    speed_m_s: float = Field(default=15.0, gt=0)
    acceleration_m_s2: float = Field(default=100.0, gt=0)


class AdversarialConfig(Section):
    """How much of the prompt suites is asked.

    suites    ids of configs/eval/prompt_suites.yaml; empty means all
    prompts   of each suite, spread evenly over it; 0 means all
    """

    suites: tuple[str, ...] = ()
    prompts: int = Field(default=0, ge=0)


class SweepConfig(Section):
    """How guidance and step count change the numbers, on the val split: settings are never picked on what is judged.

    samples       captions a setting; 0 leaves the sweep out
    guidance      at the checkpoint's own step count
    steps         at the checkpoint's own guidance
    checkpoints   which ones are swept; empty means all
    """

    samples: int = Field(default=64, ge=0)
    split: str = "val"
    guidance: tuple[float, ...] = (1.0, 1.5, 2.5, 4.0)
    steps: tuple[int, ...] = (5, 10, 20, 50)
    checkpoints: tuple[str, ...] = ()


class PanelConfig(Section):
    """Evaluators beside the one that judges; `evaluator.seeds` says how many of other seeds there are.

    joints        one on the 22 joints in space: what real clips lose by being drawn as sticks
    control       one taught with shuffled captions, which must retrieve at chance
    agreement     Kendall's tau of the models' ranking between seeds below which no ranking is claimed
    """

    joints: bool = True
    control: bool = True
    agreement: float = Field(default=0.8, ge=-1, le=1)


class CriticConfig(Section):
    """How the safety critic itself is measured: on this many real clips, and on copies with each fault planted."""

    clips: PositiveInt = 400
    false_positives: float = Field(default=0.1, gt=0, le=1)
    detection: float = Field(default=0.95, gt=0, le=1)


class ThresholdsConfig(Section):
    """The documented bars. Each is defined in words and units in docs/benchmark.md and printed with its verdict."""

    pose_mse: float = 0.05
    action_accuracy_expected: float = 0.85
    action_accuracy: float = 0.70
    fid: float = 15.0
    validation_loss: float = 0.5
    motion_mse: float = 0.1
    temporal_consistency: float = 0.8
    physics_consistency: float = 0.7
    robustness: float = 0.5
    robustness_gap: float = 0.3


class SelectionConfig(Section):
    """Weights of the documented model selection; they add up to 1."""

    validation_loss: float = 0.30
    motion_mse: float = 0.20
    temporal_consistency: float = 0.15
    action_accuracy: float = 0.15
    physics_consistency: float = 0.10
    robustness: float = 0.10


class EvaluationConfig(Section):
    """The evaluation room.

    protocol            file of configs/eval/protocols that fixes sizes, repetitions and splits
    seed                names every draw: which clips, which captions, which noise
    guidance, steps     how the sampler runs while it is judged; 0 takes the checkpoint's own setting
    device              auto | cpu | cuda | mps: where models sample; noise is drawn alike everywhere, the judge measures on the CPU
    multimodal_prompts, multimodal_repeats, multimodal_pairs    100 x 30 x 10 in the literature
    untrained_samples   samples of the untrained and null-text rows; 0 leaves the rows out
    players             generated clips shown as playable figures
    failures            the worst generated clips, shown as well
    set_samples         captions judged of each set of the protocol that needs captions of its own; 0 leaves these sets out
    peers_fps           frame rate of other models' outputs (MDM and its kin write 20)
    """

    protocol: str = "cpu"
    seed: int = 42
    seeds: tuple[int, ...] = (42, 123, 456, 789, 1024)
    split: str = "test"
    reference_split: str = "train"
    samples: PositiveInt = 256
    repetitions: PositiveInt = 3
    fid_minimum: PositiveInt = 2000
    pool: PositiveInt = 32
    reshuffles: PositiveInt = 20
    resamples: PositiveInt = 1000
    diversity_pairs: PositiveInt = 300
    multimodal_prompts: int = Field(default=8, ge=0)
    multimodal_repeats: PositiveInt = 4
    multimodal_pairs: PositiveInt = 10
    untrained_samples: int = Field(default=96, ge=0)
    duplicate_quantile: float = Field(default=0.95, gt=0, lt=1)
    guidance: float = Field(default=0.0, ge=0)
    steps: int = Field(default=0, ge=0)
    batch: PositiveInt = 64
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu"
    players: int = Field(default=8, ge=0)
    failures: int = Field(default=4, ge=0)
    set_samples: int = Field(default=256, ge=0)
    peers_fps: float = Field(default=20.0, gt=0)
    reference_clips: PositiveInt = 512
    cost_repeats: PositiveInt = 2
    evaluator: EvaluatorConfig = EvaluatorConfig()
    panel: PanelConfig = PanelConfig()
    sweep: SweepConfig = SweepConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    critic: CriticConfig = CriticConfig()
    limits: LimitsConfig = LimitsConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    selection: SelectionConfig = SelectionConfig()
