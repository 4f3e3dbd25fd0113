"""The shipped configuration resolves in every profile, and no file of it is dead."""

from pathlib import Path

import pytest

from stickgen_core.errors import ConfigError
from stickgen_core.settings import PROFILES, Config, load_settings
from stickgen_core.training.config import DEFAULTS, STAGES, VARIANTS, run_config

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_resolves_with_roots_of_its_own(profile):
    settings = load_settings(profile, ROOT, environ={})
    others = [load_settings(other, ROOT, environ={}).places for other in PROFILES if other != profile]
    for other in others:
        assert settings.places.data != other.data
        assert settings.places.checkpoints != other.checkpoints
        assert settings.places.registry_file != other.registry_file
    assert settings.registry


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_training_run_resolves(profile, variant, stage):
    run = run_config(ROOT / "configs", profile, variant, stage)
    assert (run.variant, run.stage, run.lora.enabled) == (variant, stage, stage == "lora")


def test_every_defaults_file_is_read_by_someone():
    stems = {path.stem for path in (ROOT / "configs" / "defaults").glob("*.yaml")}
    assert stems <= set(Config.model_fields) | set(DEFAULTS)


def test_the_environment_gives_roots_and_seed(tmp_path):
    environ = {"STICKGEN_DATA": str(tmp_path), "STICKGEN_SEED": "7", "DATA_ROOT": str(tmp_path / "raw")}
    settings = load_settings("test", ROOT, environ=environ)
    assert settings.places.merged == tmp_path / "merged_all"
    assert settings.places.raw_of("amass") == tmp_path / "raw" / "amass"
    assert settings.config.seed == 7


def test_a_section_digest_moves_with_its_own_values_only():
    plain = load_settings("test", ROOT, environ={})
    changed = load_settings("test", ROOT, ["seed=1"], environ={})
    assert plain.digest("text") == changed.digest("text")
    assert plain.digest() != changed.digest()


def test_unknown_profiles_and_keys_are_refused():
    with pytest.raises(ConfigError, match="expected one of demo, full, test"):
        load_settings("fast", ROOT, environ={})
    with pytest.raises(ConfigError, match="unknown key 'pipeline.worker'.*did you mean 'pipeline.workers'"):
        load_settings("test", ROOT, ["pipeline.worker=2"], environ={})
