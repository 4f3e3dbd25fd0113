"""`stickgen config …`: what is resolved, its hash, and what differs."""

import argparse
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from stickgen_core.config import config_hash, dump_yaml
from stickgen_core.errors import ConfigError
from stickgen_core.settings import PROFILES, Config, Settings
from stickgen_core.training.config import STAGES, VARIANTS, RunConfig
from stickgen_pipeline.commands.common import answer, settings_of, table
from stickgen_pipeline.profile import resolve, run_of


def chosen(settings: Settings, name: str | None) -> BaseModel:
    """The whole configuration, a section, or a run such as small_sft."""
    if name is None:
        return settings.config
    if name in Config.model_fields and isinstance(getattr(settings.config, name), BaseModel):
        found: BaseModel = getattr(settings.config, name)
        return found
    variant, _, stage = name.partition("_")
    if variant in VARIANTS and stage in STAGES:
        return run_of(settings, variant, stage)
    raise ConfigError(f"{name!r}: expected a section ({', '.join(Config.model_fields)}) or a run such as small_sft")


def show(options: argparse.Namespace) -> int:
    found = chosen(settings_of(options), options.section)
    return answer(options, found.model_dump(mode="json"), dump_yaml(found).rstrip())


def digest(options: argparse.Namespace) -> int:
    section = chosen(settings_of(options), options.section)
    found = section.hash if isinstance(section, RunConfig) else config_hash(section)
    return answer(options, {"hash": found}, found)


def diff(options: argparse.Namespace) -> int:
    """Two profiles, or two runs or sections of the current one; exit code 1 if they differ."""
    if options.old in PROFILES and options.new in PROFILES:
        left, right = (resolve(name, overrides=options.config_override).config for name in (options.old, options.new))
    else:
        settings = settings_of(options)
        left, right = chosen(settings, options.old), chosen(settings, options.new)  # type: ignore[assignment]
    before, after = dict(_leaves(left.model_dump(mode="json"))), dict(_leaves(right.model_dump(mode="json")))
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    values = {key: [before.get(key), after.get(key)] for key in keys}
    answer(options, values, table(("key", options.old, options.new), [(key, *values[key]) for key in keys]) if keys else "no difference")
    return 1 if keys else 0


def _leaves(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, values
