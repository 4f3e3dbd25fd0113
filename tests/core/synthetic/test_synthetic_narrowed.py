"""The options that narrow what the synthetic source draws: fewer actions and other shares, the held-out pairs untouched."""

from pathlib import Path

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig
from stickgen_core.canonical.parts import Job, jobs_for, seen
from stickgen_core.errors import ConfigError
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.registry import load_registry
from stickgen_core.sources.synthetic import SyntheticReader

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
FEW = ("walk", "wave", "punch", "lie", "shake_hands")


def reader(**options: object) -> SyntheticReader:
    spec = load_registry(CONFIGS / "datasets")["synthetic"]
    return SyntheticReader(spec.model_copy(update={"options": {**spec.options, **options}}))


def test_ordinary_scenes_show_only_the_actions_asked_for():
    names = {number: name for name, number in load_actions().ids.items()}
    narrow = reader(actions=FEW)
    seen: set[str] = set()
    for index in range(120):
        clip = narrow.clip(index)
        if "minimal_twin" not in clip.extra:
            seen |= {names[label.action] for label in clip.labels}
    assert seen - {"stand"} <= set(FEW)
    assert {"walk", "wave", "punch", "lie"} <= seen


def test_the_held_out_pairs_do_not_depend_on_the_actions():
    narrow, wide = reader(actions=FEW), reader()
    for index in (18, 19, 38, 39):
        assert np.array_equal(narrow.clip(index).joints, wide.clip(index).joints)


def test_shares_of_kinds_are_followed():
    clips = [reader(actions=FEW, kinds={"single": 1.0}).clip(i) for i in range(40)]
    assert {c.extra["kind"] for c in clips if "minimal_twin" not in c.extra} <= {"single", "pair"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actions": ("wlak",)}, "did you mean 'walk'"),
        ({"kinds": {"singel": 1.0}}, "did you mean 'single'"),
        ({"kinds": {"single": 0.4}}, "add up to 0.4"),
    ],
)
def test_a_name_or_share_that_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        reader(**options)


def test_blocks_of_clips_are_shared_between_two_workers_although_they_have_no_files(tmp_path):
    spec = load_registry(CONFIGS / "datasets")["synthetic"]
    units = SyntheticReader(spec).discover(tmp_path).units
    pending = [(unit, seen(tmp_path, unit)) for unit in units]
    template = Job(spec, tmp_path, tmp_path, tmp_path, "", CanonicalConfig(), SkeletonConfig(), ())
    alone, shared = (jobs_for(pending, workers, len(units), template) for workers in (1, 2))
    sizes = [len(job.units) for job in shared]
    assert len(alone) == 1 and len(shared) >= 4 and sum(sizes) == len(units)
    assert max(sizes) <= len(units) // 2 and sizes == sorted(sizes, reverse=True), (
        "the last parts are the smallest, so that both end together"
    )
