"""Space and time of a clip: proper rotations, headings, resampling within takes, presence, cameras."""

import numpy as np
import pytest

from stickgen_core.canonical import CanonicalConfig, clips_of
from stickgen_core.canonical.space import heading, to_y_up
from stickgen_core.canonical.time import resample_people, sample_times, takes, texts_within, windows
from stickgen_core.corpus.clip import Clip
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.rotations import rotation_about
from stickgen_core.sources.recording import Label, Recording, Text
from stickgen_core.sources.registry import Licence, SourceSpec
from tests.factories.known_motion import known_motion

SPEC = SourceSpec(name="x", title="x", reader="joints", licence=Licence(name="mine"))


def clip_of(recording: Recording) -> Clip:
    (made,) = clips_of(recording, SPEC, CanonicalConfig(), SkeletonConfig())
    assert isinstance(made, Clip)
    return made


def test_z_up_is_turned_by_a_proper_rotation() -> None:
    turned = to_y_up(np.eye(3), "z_up")
    assert np.linalg.det(turned) == pytest.approx(1.0)
    np.testing.assert_array_equal(to_y_up(np.array([0, 0, 1.0]), "z_up"), [0, 1, 0])


@pytest.mark.parametrize("yaw", np.linspace(-3.0, 3.0, 7))
def test_clips_do_not_depend_on_where_and_whither_the_recording_went(yaw: float) -> None:
    joints = known_motion(25.0).joints[:, None]
    moved = joints @ rotation_about("Y", yaw).T + [13.0, 0.7, -4.0]
    there = np.ones(joints.shape[:2], bool)
    one, two = (clip_of(Recording("a", "a", "a", 25.0, j, there)) for j in (joints, moved))
    np.testing.assert_allclose(one.joints, two.joints, atol=1e-5)
    assert abs(two.yaw_rad - yaw) < 1e-6 and np.allclose(two.origin_xz_m, [13.0, -4.0])


def test_heading_falls_back_where_the_body_lies_on_its_side() -> None:
    joints = known_motion(25.0).joints[:60].copy()
    joints[20:] = (joints[20:] - joints[20:, :1]) @ rotation_about("Z", np.pi / 2).T + joints[20:, :1]
    every = np.ones(60, bool)
    assert abs(heading(joints, 40, every, 0.2)) < 0.05
    assert abs(heading(joints[20:], 0, every[20:], 0.2) + np.pi / 2) < 0.1  # pelvis to neck points along -X


@pytest.mark.parametrize("rate", [12.5, 20.0, 29.97, 59.0, 59.94, 60.0, 100.0, 120.00004577, 250.0])
def test_every_rate_gives_the_right_duration(rate: float) -> None:
    frames = int(8 * rate) + 1
    assert abs(len(sample_times(frames, rate, 25.0)) - ((frames - 1) / rate * 25 + 1)) < 1.0


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    joints = known_motion(25.0).joints[:, None]
    out, _ = resample_people(joints, np.ones(joints.shape[:2], bool), 25.0, sample_times(len(joints), 25.0, 25.0))
    np.testing.assert_array_equal(out, joints)


def test_nobody_is_interpolated_towards_absence() -> None:
    joints = np.ones((10, 1, 22, 3))
    present = np.ones((10, 1), bool)
    present[5:] = False
    joints[5:] = 100.0
    out, there = resample_people(joints, present, 10.0, np.arange(23) / 25)
    assert set(np.unique(out)) == {0.0, 1.0} and there[:11].all() and not there[13:].any()


def test_takes_and_windows_cover_everything_once() -> None:
    assert takes(100, (30, 0, 100, 70)) == [(0, 30), (30, 70), (70, 100)]
    edges = list(windows(1203, 500))
    assert (
        len(edges) == 3 and edges[0][0] == 0 and edges[-1][1] == 1203 and all(a[1] == b[0] for a, b in zip(edges, edges[1:], strict=False))
    )
    assert max(b - a for a, b in edges) - min(b - a for a, b in edges) <= 1


def test_texts_are_inherited_by_the_80_percent_rules() -> None:
    texts = (
        Text("inside", 1, 3, "caption"),
        Text("half", 3, 5, "caption"),
        Text("over", 0, 100, "caption"),
        Text("other", 0, 4, "caption", 1),
    )
    kept = texts_within(texts, 0.0, 4.0, 0.8, [0])
    assert [text.text for text in kept] == ["inside", "over"] and (kept[1].start_s, kept[1].end_s) == (0.0, 4.0)


def test_cuts_keep_takes_apart_and_labels_travel_with_time() -> None:
    joints = np.concatenate([known_motion(25.0).joints, known_motion(25.0).joints + [50.0, 0, 0]])[:, None]
    half = len(joints) // 2
    recording = Recording(
        "a", "a", "a", 25.0, joints, np.ones(joints.shape[:2], bool), cuts=(half,), labels=(Label(5, 0, half / 25), Label(6, half / 25, 99))
    )
    clips = [made for made in clips_of(recording, SPEC, CanonicalConfig(), SkeletonConfig()) if isinstance(made, Clip)]
    assert len(clips) == 2 and [set(clip.actions[:, 0].tolist()) for clip in clips] == [{5}, {6}]
    assert max(np.abs(np.diff(clip.joints, axis=0)).max() for clip in clips) < 0.6


def test_a_jump_is_not_pulled_down_to_the_ground() -> None:
    joints = known_motion(25.0).joints[:75, None].copy()
    joints[30:40, :, :, 1] += 0.5
    clip = clip_of(Recording("a", "a", "a", 25.0, joints, np.ones(joints.shape[:2], bool)))
    assert clip.joints[35, 0, :, 1].min() > 0.45 and abs(np.percentile(clip.joints[:, 0, :, 1].min(-1), 2)) < 1e-3


def test_a_camera_moves_with_the_body_and_none_is_said_to_be_none() -> None:
    joints = known_motion(25.0).joints[:50, None]
    there = np.ones(joints.shape[:2], bool)
    assert clip_of(Recording("a", "a", "a", 25.0, joints, there)).camera_source == "none"
    camera = np.tile([2.0, 1.3, 0.8], (50, 1))
    clip = clip_of(Recording("a", "a", "a", 25.0, joints + [2.0, 0, 0], there, camera=camera))
    assert clip.camera_source == "measured" and abs(clip.camera[0, 0] - (2.0 - 2.0 * np.cos(np.pi / 4))) < 1e-5
    assert clip.joints[0, 0, JOINT["pelvis"], 0] == pytest.approx(0.0)
