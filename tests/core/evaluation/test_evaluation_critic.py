"""The critic's own error rates: measured on people who move and on copies of them with each fault planted."""

import numpy as np

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.evaluation.critic import FAULTS, critic_rates
from stickgen_core.evaluation.items import Items
from stickgen_core.skeleton import stick_layout, sticks
from tests.core.curation.curation_motions import GOOD


def people() -> Items:
    motions = tuple(sticks(make()[:, None], stick_layout("stick20"), 45.0).astype(np.float32) for make in GOOD.values())
    ids = tuple(GOOD)
    return Items(ids, ids, motions, tuple(np.ones(m.shape[:2], bool) for m in motions), ids, ids, np.zeros(len(ids), np.int64))


def test_people_pass_and_every_planted_fault_is_caught_by_its_own_check():
    items = people()
    found = critic_rates(items, {clip: "made" for clip in items.ids}, SafetyConfig(), seed=1)
    assert found["real"]["all"]["value"] == 0 and found["real"]["all"]["n"] == len(items) and found["real_by_check"] == {}
    assert found["real"]["all"]["high"] > 0, "few clips do not show that there are no false alarms"
    assert set(found["planted"]) == set(FAULTS)
    for fault, shares in found["planted"].items():
        assert shares["refused"]["value"] == shares["named"]["value"] == 1.0, fault


def test_a_refused_real_clip_is_counted_by_source_and_check_and_not_used_for_planting():
    items = people()
    still = np.repeat(items.motions[0][:1], len(items.motions[0]), 0)
    spoiled = items.with_motions([still, *items.motions[1:]])
    sources = {clip: "a" if place == 0 else "b" for place, clip in enumerate(items.ids)}
    found = critic_rates(spoiled, sources, SafetyConfig(), seed=1)
    assert found["real"]["a"]["value"] == 1.0 and found["real"]["b"]["value"] == 0.0 and found["real_by_check"] == {"frozen": 1}
    assert found["planted"]["velocity"]["refused"]["n"] == len(items) - 1
