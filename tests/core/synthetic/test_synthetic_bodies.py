"""Bodies that live, bear on hands and knees, touch each other and stay within their joints; and the checks that would see it otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from stickgen_core.curation.config import ScoresConfig
from stickgen_core.curation.scores import AT_LIMIT, score_clips
from stickgen_core.skeleton.body import JOINT, JOINT_COUNT
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.synthetic.axes import moving_frame
from stickgen_core.sources.synthetic.checks import burst, faults, limb_excess, planes_of, still_share, trunks_apart
from stickgen_core.sources.synthetic.life import wander
from stickgen_core.sources.synthetic.limbs import spread_down
from stickgen_core.sources.synthetic.stage import play
from tests.core.synthetic.synthetic_clips import MOVES, SCENES, made, performed, speeds

WRISTS = [JOINT["left_wrist"], JOINT["right_wrist"]]


def test_every_accepted_clip_passes_the_limits_of_real_data():
    clips = [made(i) for i in range(160)]
    scores = score_clips([(c.joints.astype(np.float32), c.present, np.zeros(JOINT_COUNT, np.uint8)) for c in clips], ScoresConfig())
    assert scores["artefact"].max() <= AT_LIMIT
    frozen = [
        (np.repeat(clips[0].joints[:1], 60, 0).astype(np.float32), np.ones((60, clips[0].joints.shape[1]), bool), np.zeros(22, np.uint8))
    ]
    assert score_clips(frozen, ScoresConfig())["artefact"][0] > AT_LIMIT


@pytest.mark.parametrize(
    ("kind", "move"), [("gesture", "stand"), ("hold", "sit"), ("hold", "lie_back"), ("gesture", "cross_arms"), ("gesture", "nod")]
)
def test_nobody_freezes(kind, move):
    shares = [still_share(np.linalg.norm(np.diff(planes_of(performed(kind, move, seed)[1].joints), axis=2), axis=0)) for seed in range(6)]
    assert np.median(shares) < 0.7


def test_idle_moves_are_bounded_and_smooth():
    t = np.arange(0, 20, 0.04)
    x = wander(np.random.default_rng(3), t, 0.4, 50)
    assert np.abs(x).max() <= 1 and x.std() > 0.2
    second = np.diff(x, 2, axis=0) / 0.04**2
    # A third derivative that is bounded: the second one has no jumps.
    assert np.abs(np.diff(second, axis=0)).max() / 0.04 < 16 / 0.4**3


def test_the_pelvis_goes_low_in_time_and_never_too_little():
    needed = np.zeros(60)
    needed[30] = 0.1
    smooth = spread_down(needed, 3)
    assert (smooth >= needed).all() and np.abs(np.diff(smooth, 2)).max() < 0.06 < np.abs(np.diff(needed, 2)).max()


def test_a_crawler_bears_on_hands_and_shins_that_stay():
    still = []
    for seed in range(6):
        scene, played = performed("gait", "crawl", seed)
        act = scene.people[0].acts[0]
        down = slice(int((act.start + 1.3) * SCENES.fps), int((act.stop - 1.3) * SCENES.fps))
        body = played.joints[down, 0]
        v = speeds(body)
        assert body[:, JOINT["head"], 1].max() < 0.75 and body[:, 0, 1].max() < 0.6
        for joint in (*WRISTS, JOINT["left_foot"], JOINT["right_foot"]):
            low = body[:, joint, 1] < body[:, joint, 1].min() + 1e-4
            still.append(np.median(v[:, joint][low[1:] & low[:-1]]))
        assert not faults(played.joints, played.planted, SCENES.fps)
    assert max(still) < 0.01


def gone(kind: str, move: str, **fixed: object) -> tuple[float, float]:
    """Metres that the pelvis goes over the ground at most, and from the first to the last frame, while one act is performed alone."""
    played = performed(kind, move, **fixed)[1]
    assert not faults(played.joints, played.planted, SCENES.fps)
    way = played.joints[:, 0, 0][:, [0, 2]] - played.joints[0, 0, 0, [0, 2]]
    return float(np.linalg.norm(way, axis=1).max()), float(np.linalg.norm(way[-1]))


def test_strikers_step_in_and_dancers_go_and_come_back():
    for move in ("punch", "kick"):
        farthest, _ = gone("gesture", move, count=2, tempo="normal")
        assert farthest > 0.5, move
    farthest, last = gone("gesture", "dance_sway", count=4, tempo="normal")
    assert farthest > 0.4 > last
    assert gone("gesture", "clap", count=2)[0] < 0.2


def test_a_kick_snaps_out_and_back_from_a_lifted_knee():
    scene, played = performed("gesture", "kick", side="right", count=1, tempo="normal")
    body = moving_frame(played.joints[:, 0])
    top = int(body[:, JOINT["right_foot"], 2].argmax())
    reach = np.linalg.norm(body[:, JOINT["right_ankle"]] - body[:, JOINT["right_hip"]], axis=-1)
    v = speeds(body)[:, JOINT["right_foot"]]
    assert reach[top - 12 : top].min() < 0.75 * reach[top]
    # Still for a moment where it is farthest, fast on the way there and on the way back.
    assert v[top] < 0.5 * min(v[top - 8 : top].max(), v[top : top + 8].max())


def test_footwork_is_short_beside_others_and_none_over_a_gait():
    scene, _ = performed("gesture", "punch", count=2, tempo="normal")
    alone, other = scene.people[0], replace(scene.people[0], place=(3.0, 0.0, 0.0))
    ways = []
    for people in ((alone,), (alone, other)):
        joints = play(replace(scene, people=people), MOVES, SCENES, np.random.default_rng(0), load_actions().ids).joints
        ways.append(float(np.linalg.norm(joints[:, 0, 0] - joints[0, 0, 0], axis=-1).max()))
    assert ways[1] < 0.6 * ways[0]


def test_people_who_hug_touch_the_other_s_back_and_are_not_in_each_other():
    for seed in range(4):
        _, played = performed("together", "hug", seed)
        middle = played.joints[len(played.joints) // 2]
        for a in range(2):
            back = middle[1 - a, JOINT["spine3"]]
            assert np.linalg.norm(middle[a, WRISTS] - back, axis=-1).max() < 0.2
        assert trunks_apart(planes_of(played.joints)) > 0.19


def test_hips_and_shoulders_have_their_limits():
    _, played = performed("gesture", "stand")
    j = planes_of(played.joints)
    assert max(limb_excess(j).values()) < 0
    bent = played.joints.copy()
    for name in ("knee", "ankle", "foot"):
        bent[:, :, JOINT[f"left_{name}"]] = bent[:, :, JOINT["left_hip"]] + [0.0, -0.05, -0.4]
    assert limb_excess(planes_of(bent))["hip_back"] > 0
    twisted = played.joints.copy()
    twisted[:, :, JOINT["right_elbow"]] = twisted[:, :, JOINT["right_shoulder"]] + [0.25, 0.0, 0.0]
    assert limb_excess(planes_of(twisted))["shoulder_across"] > 0


def test_a_joint_that_jumps_is_a_burst_and_a_body_inside_another_is_a_fault():
    _, played = performed("gesture", "wave")
    jump = played.joints.copy()
    jump[20, 0, JOINT["head"]] += 0.5
    step = np.linalg.norm(np.diff(planes_of(jump), axis=2), axis=0)
    assert burst(step, SCENES.fps) > 3
    both = np.concatenate([played.joints, played.joints + [0.05, 0, 0]], axis=1)
    assert "trunks_apart_m" in [name for name, _, _ in faults(both, np.zeros((len(both), 2, 2), bool), SCENES.fps)]
