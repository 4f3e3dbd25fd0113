"""Settings from a profile and overrides: each override goes to the graph's configuration or to the training runs, by its first name."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from stickgen_core.errors import ConfigError
from stickgen_core.settings import Config, Settings, load_settings
from stickgen_core.training.config import RunConfig, run_config

RUN_SECTIONS = tuple(name for name in RunConfig.model_fields if name not in ("variant", "stage"))


def resolve(profile: str | None = None, root: Path | None = None, overrides: Iterable[str] = ()) -> Settings:
    """The settings; `settings.overrides` keeps all overrides, so that another process resolves the same."""
    overrides = tuple(overrides)
    for text in overrides:
        first = text.partition("=")[0].partition(".")[0]
        if first not in Config.model_fields and first not in RUN_SECTIONS:
            raise ConfigError(f"override {text!r}: no section {first!r}; there are {', '.join((*Config.model_fields, *RUN_SECTIONS))}")
    own = [text for text in overrides if text.partition("=")[0].partition(".")[0] in Config.model_fields]
    return replace(load_settings(profile, root, own), overrides=overrides)


def run_of(settings: Settings, variant: str, stage: str) -> RunConfig:
    """The configuration of one checkpoint; the profile's seed is the run's seed unless the run overrides it."""
    own = [text for text in settings.overrides if text.partition("=")[0].partition(".")[0] in RUN_SECTIONS]
    return run_config(settings.configs, settings.profile, variant, stage, [f"training.seed={settings.config.seed}", *own])
