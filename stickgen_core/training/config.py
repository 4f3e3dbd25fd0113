"""One training run: which model, objective, data and schedule. Files of configs/, merged, validated once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stickgen_core.config import Section, parse_override, read_yaml
from stickgen_core.config.loader import merge
from stickgen_core.errors import ConfigError
from stickgen_core.model.config import LoraConfig, ModelConfig, ObjectiveConfig, SamplerConfig

VARIANTS = ("small", "medium", "large")
STAGES = ("pretrain", "sft", "lora")
Variant = Literal["small", "medium", "large"]
Stage = Literal["pretrain", "sft", "lora"]

# Recipe of a checkpoint: raise when a change to this code makes equal configurations give other weights.
TRAINING_VERSION = 1
# Keys that say where and how comfortably a run is done, not what it computes; they do not enter a checkpoint's recipe.
MACHINE_KEYS = {
    "training": (
        "device", "threads", "compile", "num_workers", "prefetch_factor", "log_every_steps", "save_every_steps", "keep_last", "resume_from",
        "max_train_hours", "tolerance", "trackers",
    ),
    "data": ("parallax_root",),
}  # fmt: skip

# Keys that came after the first checkpoints, with the value that changes nothing: only another value enters a recipe or a hash.
NEUTRAL = {"objective": {"noise_span_frames": 0.0}}


class DataConfig(Section):
    """What is read and how it is put into batches.

    max_frames          clips are cut to their first frames, where the canonical space is anchored
    token_budget        most tokens (frames x people, padding included) of one micro-batch
    bucket_batches      clips are sorted by length inside windows of this many optimiser steps
    pad_to_multiple     padded length of a micro-batch; larger keeps the number of shapes low for a compiler
    use_parallax_augmentation   the multimodal model, conditioned on rendered views of its clips
    parallax_root               the folder of those views, as rendering wrote it; relative to the data root
    parallax_image_size         height and width that a view is scaled to
    image_backend               what decodes it
    sources, actions, styles   a corpus query: train only on these (empty means all)
    """

    fps: float = Field(gt=0)
    max_frames: int = Field(ge=2)
    token_budget: int = Field(ge=1)
    bucket_batches: int = Field(ge=1)
    pad_to_multiple: int = Field(ge=1)
    use_parallax_augmentation: bool
    parallax_root: str
    parallax_image_size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]]
    image_backend: Literal["pil"]
    sources: tuple[str, ...] = ()
    actions: tuple[int, ...] = ()
    styles: tuple[str, ...] = ()


class CostConfig(Section):
    """What an hour of a machine costs, which machine trains here, and the most that one run may cost (None: anything)."""

    prices_per_hour: Mapping[str, Annotated[float, Field(ge=0)]]
    machine: str
    budget: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _priced(self) -> "CostConfig":
        if self.machine not in self.prices_per_hour:
            raise ValueError(f"machine {self.machine!r} has no price (prices_per_hour: {', '.join(self.prices_per_hour)})")
        return self

    @property
    def price_per_hour(self) -> float:
        return self.prices_per_hour[self.machine]


class TrainingConfig(Section):
    """The schedule and the optimiser.

    batch_size, grad_accumulation_steps   the documented pair; their product is the number of clips of one optimiser step, held exactly
    epochs, warmup_epochs                 the documented schedule; `steps` and `warmup_steps`, where given, hold instead
    ema_warmup                            decay is min(ema_decay, (1+n)/(ema_warmup+n)) after n steps
    spike_factor                          a validation loss of this many times the best stops the run as diverged
    device                                auto | cpu | cuda | mps
    tolerance                             how far two runs of one configuration may differ on different hardware, relative (`stickgen registry find`)
    max_train_hours                       a run whose estimate, measured before its first step, is longer is refused
    """

    seed: int
    batch_size: int = Field(ge=1)
    grad_accumulation_steps: int = Field(ge=1)
    epochs: int = Field(ge=1)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    final_learning_rate_share: float = Field(ge=0, le=1)
    warmup_epochs: float = Field(ge=0)
    warmup_steps: int | None = Field(default=None, ge=0)
    weight_decay: float = Field(ge=0)
    betas: tuple[float, float]
    clip_norm: float = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    ema_warmup: float = Field(ge=1)
    validate_every_epochs: int = Field(ge=1)
    validate_every_steps: int | None = Field(default=None, ge=1)
    validation_clips: int = Field(ge=1)
    checkpoint_every_epochs: int = Field(ge=1)
    keep_last: int | None = Field(default=None, ge=1)
    save_every_steps: int | None = Field(default=None, ge=1)
    log_every_steps: int = Field(ge=1)
    spike_factor: float = Field(gt=1)
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: int | None = Field(default=None, ge=1)
    deterministic: bool
    compile: bool
    num_workers: int = Field(ge=0)
    prefetch_factor: int = Field(ge=1)
    max_train_hours: float | None = Field(default=None, gt=0)
    tolerance: float = Field(default=0.02, gt=0)
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    resume_from: str | None = None

    @property
    def effective_batch(self) -> int:
        return self.batch_size * self.grad_accumulation_steps


class RunConfig(Section):
    """Everything that decides a checkpoint, besides the corpus, the text vectors and the parent checkpoint."""

    variant: Variant
    stage: Stage
    model: ModelConfig
    objective: ObjectiveConfig
    sampler: SamplerConfig
    training: TrainingConfig
    data: DataConfig
    lora: LoraConfig

    @property
    def name(self) -> str:
        return f"{self.variant}_{self.stage}"

    @property
    def decisive(self) -> dict[str, Any]:
        """Every value that can change the weights: all but MACHINE_KEYS."""
        values = self.model_dump(mode="json")
        for section, keys in MACHINE_KEYS.items():
            for key in keys:
                values[section].pop(key)
        for section, neutral in NEUTRAL.items():
            values[section] = {key: value for key, value in values[section].items() if key not in neutral or value != neutral[key]}
        return values

    @property
    def hash(self) -> str:
        """The same on every machine: what is compared when a run is repeated elsewhere."""
        from stickgen_core.records.digests import digest_json

        return digest_json(self.decisive)

    @property
    def recipe(self) -> str:
        """Digest of the code version and every value that can change the weights."""
        from stickgen_core.records.digests import digest_json

        return digest_json({"training": TRAINING_VERSION, "config": self.decisive})

    @property
    def parent_stage(self) -> Stage | None:
        """The stage whose weights this one starts from."""
        parents: dict[Stage, Stage | None] = {"pretrain": None, "sft": "pretrain", "lora": "sft"}
        return parents[self.stage]


def recorded_run(values: Mapping[str, Any], origin: Path) -> RunConfig:
    """The configuration in a checkpoint; a key that is not known is refused, like everywhere."""
    return _validated(dict(values), str(origin))


DEFAULTS = ("model", "objective", "training")
_EXTENDS = "extends"


def documented_file(variant: str, stage: str) -> str:
    """configs/small.yaml, configs/sft_small.yaml, configs/lora_small.yaml."""
    if variant not in VARIANTS or stage not in STAGES:
        raise ConfigError(f"{variant}_{stage}: expected one of {', '.join(VARIANTS)} and one of {', '.join(STAGES)}")
    return f"{variant}.yaml" if stage == "pretrain" else f"{stage}_{variant}.yaml"


def run_values(path: Path) -> dict[str, Any]:
    """The mapping of a run file laid over the file that it extends."""
    values = read_yaml(path)
    base = values.pop(_EXTENDS, None)
    if base is None:
        return values
    if not isinstance(base, str) or Path(base).name != base:
        raise ConfigError(f"{path}: extends {base!r}; expected the name of a file beside it")
    return merge(run_values(path.parent / base), values)


def run_config(configs: Path, profile: str, variant: str, stage: str, overrides: tuple[str, ...] | list[str] = ()) -> RunConfig:
    """Defaults ← documented file ← configs/runs/<profile>.yaml ← `section.key=value` overrides."""
    return run_from_file(configs / documented_file(variant, stage), configs, profile, overrides)


def run_from_file(path: Path, configs: Path, profile: str, overrides: tuple[str, ...] | list[str] = ()) -> RunConfig:
    """The same for any run file; `lora.enabled` turns an SFT run into the LoRA run of its variant, whoever sets it.

    What `lora.training` and `lora.data` say then holds in place of the stage's own.
    """
    values: dict[str, Any] = {}
    for name in DEFAULTS:
        values = merge(values, read_yaml(configs / "defaults" / f"{name}.yaml"))
    values = merge(values, run_values(path))
    over: dict[str, Any] = {}
    for text in overrides:
        keys, value = parse_override(text)
        for key in reversed(keys):
            value = {key: value}
        over = merge(over, value)
    lora = merge(values.get("lora", {}), over.get("lora", {}))
    if lora.get("enabled"):
        if values.get("stage") == "pretrain":
            raise ConfigError(
                f"{path}: lora.enabled on a pretraining run; adapters need a trained base: enable it on {documented_file(str(values['variant']), 'sft')}"
            )
        kept = {key: value for key, value in (lora.get("training") or {}).items() if value is not None}
        asked = {key: value for key, value in (lora.get("data") or {}).items() if value}
        values = merge(values, {"stage": "lora", "training": kept, "data": asked})
    values = merge(values, _profile_values(configs, profile, values.get("variant"), values.get("stage")))
    return _validated(merge(values, over), f"{path} ({profile})")


def _profile_values(configs: Path, profile: str, variant: Any, stage: Any) -> dict[str, Any]:
    """What a profile shrinks: its `all` section, then the variant's, then the stage's, then that one run's."""
    path = configs / "runs" / f"{profile}.yaml"
    if not path.exists():
        return {}
    found = read_yaml(path)
    runs = [f"{one}_{other}" for one in VARIANTS for other in STAGES]
    unknown = sorted(set(found) - {"all", *VARIANTS, *STAGES, *runs})
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r} (valid here: all, {', '.join((*VARIANTS, *STAGES, *runs))})")
    values: dict[str, Any] = {}
    for key in ("all", variant, stage, f"{variant}_{stage}"):
        values = merge(values, found.get(key) or {})
    return values


def _validated(values: dict[str, Any], origin: str) -> RunConfig:
    from stickgen_core.config import load

    try:
        return load(RunConfig, base=values)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {str(error).removeprefix('RunConfig: ')}") from None
