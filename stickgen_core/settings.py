"""The root of the configuration: every room's section, the profile's places, and the registry of sources.

The one module of the core that may import all rooms. Values come from configs/defaults/<section>.yaml, then
configs/<profile>.yaml, then dotted overrides; roots come from the environment (.env.example lists the variables).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stickgen_core.canonical.config import CanonicalConfig
from stickgen_core.config import Section, config_hash, load, read_yaml
from stickgen_core.corpus.config import CorpusConfig
from stickgen_core.curation.config import CurationConfig
from stickgen_core.errors import ConfigError
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.records.places import Places
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.registry import SourceSpec, load_registry
from stickgen_core.text.config import TextConfig
from stickgen_core.training.config import CostConfig

PROFILES = ("demo", "full", "test")


class CollectionConfig(Section):
    """What `stickgen gc` may remove.

    grace_h    younger things stay
    classes    retention classes that may go although they are in place, where they can be made again
    quota_gb   class -> most of it; the oldest go first
    apply      whether the scheduled collection removes, or only says what it would remove
    """

    grace_h: float
    classes: tuple[Literal["discardable", "optional", "recommended"], ...]
    quota_gb: Mapping[Literal["discardable", "optional", "recommended"], float] = {}
    apply: bool


class AlertConfig(Section):
    """Where failures are told beside the log; empty is off. Addresses that are secrets come from the environment.

    webhook_variable   name of the environment variable that holds the address of a webhook
    smtp_host          mail server; needs mail_from and mail_to
    """

    webhook_variable: str
    smtp_host: str
    smtp_port: int
    mail_from: str
    mail_to: tuple[str, ...]


class PipelineConfig(Section):
    """What the graph itself needs: workers, thresholds of its own checks, schedules.

    threads   CPU threads of a heavy step that does not set its own; None: as many as there are cores. Another number may change last bits
    """

    workers: int
    threads: int | None = Field(default=None, ge=1)
    train_in_subprocess: bool
    side_by_side: int = Field(ge=1)
    absent_is_error: bool
    rebuild_interval_s: int
    raw_sensor_interval_s: int
    registry_sensor_interval_s: int
    nightly_cron: str
    training_cron: str
    collection_cron: str
    alert_interval_s: int
    backstop_interval_s: int
    evaluation_fresh_days: float
    collection: CollectionConfig
    alerts: AlertConfig
    variants: tuple[str, ...]
    stages: tuple[str, ...]
    export_prompts: tuple[str, ...]


class Config(Section):
    """All sections of one profile; each is declared by the room that uses it.

    datasets   what this profile sets differently in the YAML of a data set, by its name
    """

    seed: int
    datasets: Mapping[str, Mapping[str, Any]] = {}
    pipeline: PipelineConfig
    skeleton: SkeletonConfig
    corpus: CorpusConfig
    canonical: CanonicalConfig
    curation: CurationConfig
    text: TextConfig
    rendering: RenderingConfig
    generation: GenerationConfig
    evaluation: EvaluationConfig
    cost: CostConfig


@dataclass(frozen=True)
class Settings:
    """A resolved configuration with the folders it works on."""

    profile: str
    root: Path
    config: Config
    places: Places
    overrides: tuple[str, ...] = ()

    @property
    def configs(self) -> Path:
        return self.root / "configs"

    @cached_property
    def registry(self) -> dict[str, SourceSpec]:
        """The profile's data sets by name."""
        return load_registry(self.configs / "datasets", self.profile, self.config.datasets)

    def __getattr__(self, section: str) -> object:
        """`settings.curation` is `settings.config.curation`."""
        if section in Config.model_fields:
            return getattr(self.config, section)
        raise AttributeError(section)

    def digest(self, *sections: str) -> str:
        """Stable hash of the named sections (all of them without a name)."""
        if not sections:
            return config_hash(self.config)
        return config_hash(_Chosen(values={name: getattr(self.config, name).model_dump(mode="json") for name in sections}))


class _Chosen(Section):
    values: Mapping[str, object]


def load_settings(profile: str | None = None, root: Path | None = None, overrides: Iterable[str] = (),
                  environ: Mapping[str, str] | None = None) -> Settings:  # fmt: skip
    """Resolve a profile; `profile` and the roots fall back to the environment, then to the checkout."""
    environ = os.environ if environ is None else environ
    profile = profile or environ.get("STICKGEN_PROFILE") or "demo"
    root = root or Path(environ.get("STICKGEN_ROOT") or Path(__file__).resolve().parents[1])
    configs = root / "configs"
    if profile not in PROFILES:
        raise ConfigError(f"profile {profile!r}: expected one of {', '.join(PROFILES)} (STICKGEN_PROFILE or --profile)")
    # The files of training runs (model, objective, training) are read by training.config.run_config.
    defaults = {path.stem: read_yaml(path) for path in sorted((configs / "defaults").glob("*.yaml")) if path.stem in Config.model_fields}
    overrides = tuple(overrides)
    from_environment = [f"seed={environ['STICKGEN_SEED']}"] if environ.get("STICKGEN_SEED") else []
    config = load(Config, [configs / f"{profile}.yaml"], [*from_environment, *overrides], base=defaults)
    return Settings(profile, root, config, _places(root, profile, environ), overrides)


def _places(root: Path, profile: str, environ: Mapping[str, str]) -> Places:
    def folder(name: str) -> Path | None:
        return Path(environ[name]).expanduser().absolute() if environ.get(name) else None

    return Places.below(root, profile, data=folder("STICKGEN_DATA"), raw=folder("DATA_ROOT"),
                        outputs=folder("STICKGEN_OUTPUT_DIR"), registry=folder("STICKGEN_REGISTRY"))  # fmt: skip
