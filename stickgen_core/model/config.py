"""What a user may want to change about the network, its objective, its sampler and its adapters."""

from typing import Literal

from pydantic import Field, model_validator

from stickgen_core.config import Section

ImageEncoderName = Literal["lightweight_cnn", "resnet", "mini_vit"]
FusionName = Literal["gated", "concat", "film", "cross_attention"]


class ExpectedParameters(Section):
    """Documented totals; building a model of another size is refused. None where a profile shrinks the model."""

    motion_only: int | None = None
    multimodal: int | None = None


class ModelConfig(Section):
    """The denoiser's sizes.

    input_dim, output_dim   motion width, from the stick layout; equal, because a denoiser returns what it is given
    embedding_dim           width of the text vectors
    max_actors              rows of the actor embedding; more people than this are refused
    actor_embedding_dim     none: actors are embedded at d_model
    image_*                 used when `data.use_parallax_augmentation` is on
    """

    d_model: int = Field(ge=8)
    num_layers: int = Field(ge=1)
    nhead: int = Field(ge=1)
    embedding_dim: int = Field(ge=2)
    dropout: float = Field(ge=0, lt=1)
    num_actions: int = Field(ge=2)
    input_dim: int = Field(ge=1)
    output_dim: int = Field(ge=1)
    action_embedding_dim: int = Field(ge=1)
    max_actors: int = Field(ge=1)
    rope_base: float = Field(gt=1)
    norm_eps: float = Field(gt=0)
    time_frequency_max: float = Field(gt=0)
    image_encoder: ImageEncoderName
    image_feature_dim: int = Field(ge=8)
    image_camera_dim: int = Field(ge=1)
    fusion: FusionName
    expected_parameters: ExpectedParameters = ExpectedParameters()

    @model_validator(mode="after")
    def _consistent(self) -> "ModelConfig":
        if self.d_model % self.nhead or (self.d_model // self.nhead) % 2:
            raise ValueError(f"d_model {self.d_model} over nhead {self.nhead} must be an even whole number (rotary pairs)")
        if self.input_dim != self.output_dim:
            raise ValueError(f"output_dim {self.output_dim} must equal input_dim {self.input_dim}")
        if self.embedding_dim % 2:
            raise ValueError(f"embedding_dim {self.embedding_dim} must be even: the time code is sine and cosine pairs")
        return self

    @property
    def head_dim(self) -> int:
        return self.d_model // self.nhead


class LossWeights(Section):
    """The documented loss table; each term is normalised, so that 0.1 means a tenth of the pose term's scale."""

    pose: float = Field(ge=0)
    temporal: float = Field(ge=0)
    action: float = Field(ge=0)
    physics: float = Field(ge=0)
    diffusion: float = Field(ge=0)


class ObjectiveConfig(Section):
    """How noise is added and what the network is asked for.

    path, prediction        linear + clean is the model, residual the same clean motion as a correction of the best linear estimate from the
                            noisy one; cosine and velocity are ablations
    time_mean, time_std     times are sigmoid(N(mean, std)); negative means noise-heavy
    pose_weighting          uniform, or velocity: 1/(1-t)^2 with 1-t clipped at `pose_clip`, mean 1 over the times
    diffusion_clip          the same clip for the diffusion term, as the sampler's last steps see it
    auxiliary_power         temporal, action and physics are weighted by t to this power: at high noise they only pull to the mean
    acceleration_share      weight of second differences beside first differences in the temporal term
    error_floor             differences are judged in units of their spread in the data, joined by what a white error of this size (in units of
                            the motion's spread) would cause: 25 frames a second turn a millimetre of jitter into metres a second squared
    physics_head_share      share of the physics term on the head, the rest on the physics of the predicted motion
    noise_span_frames       noise is a Matérn-3/2 process over time with this length (docs/model.md); 0: white
    *_dropout               how often a condition is hidden, each clip on its own
    """

    path: Literal["linear", "cosine"]
    prediction: Literal["clean", "residual", "velocity"]
    time_mean: float
    time_std: float = Field(gt=0)
    pose_weighting: Literal["uniform", "velocity"]
    pose_clip: float = Field(gt=0, le=1)
    diffusion_clip: float = Field(gt=0, le=1)
    auxiliary_power: float = Field(ge=0)
    acceleration_share: float = Field(ge=0)
    error_floor: float = Field(ge=0)
    physics_head_share: float = Field(ge=0, le=1)
    noise_span_frames: float = Field(default=0.0, ge=0)
    text_dropout: float = Field(ge=0, le=1)
    action_dropout: float = Field(ge=0, le=1)
    camera_dropout: float = Field(ge=0, le=1)
    image_dropout: float = Field(ge=0, le=1)
    weights: LossWeights


class SamplerConfig(Section):
    """How a trained model is sampled; recorded with the checkpoint, so that a report knows what it measured."""

    use_diffusion: bool
    diffusion_steps: int = Field(ge=1)
    method: Literal["euler", "heun"]
    guidance: float = Field(ge=0)


class LoraTraining(Section):
    """What a LoRA run trains with instead of its stage's values; None keeps the stage's."""

    epochs: int | None = None
    learning_rate: float | None = None
    warmup_epochs: float | None = None


class LoraData(Section):
    """A corpus query: what a LoRA run trains on, such as one style or one source. Empty means the whole SFT corpus."""

    sources: tuple[str, ...] = ()
    actions: tuple[int, ...] = ()
    styles: tuple[str, ...] = ()


class LoraConfig(Section):
    """Low-rank adapters on the linear layers of `target_modules`; the base stays frozen."""

    enabled: bool
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    target_modules: tuple[str, ...]
    training: LoraTraining = LoraTraining()
    data: LoraData = LoraData()
