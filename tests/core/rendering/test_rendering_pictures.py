"""Pictures: nothing leaves the frame, left and right are where they belong, faces change in time, files are what they say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.errors import StickgenError
from stickgen_core.rendering import RenderingConfig, scene_of_clip, scene_of_motion
from stickgen_core.rendering.config import FaceConfig
from stickgen_core.rendering.media import png_bytes, read_mp4, svg_text, write_gif, write_mp4
from stickgen_core.rendering.moods import EXPRESSIONS, Mood, face_track, hand_track, moods_of
from stickgen_core.rendering.pictures import contact_sheet, frames_of, scene_strokes, side_by_side, still
from stickgen_core.rendering.raster import outlines
from stickgen_core.rendering.styles import STYLES
from stickgen_core.skeleton import mirror_joints, stick_layout, sticks
from tests.core.rendering.rendering_people import FPS, clip, scene, walker

CONFIG = RenderingConfig()


def body_ends(strokes):
    """Ends of the visible strokes that are not ground."""
    mine = (strokes.colours != STYLES["normal"].ground).any(1)
    return strokes.ends[:, mine][strokes.visible[:, mine]]


@pytest.mark.parametrize("three_d", [False, True])
@pytest.mark.parametrize("speed", [0.0, 1.2, 8.0])
@pytest.mark.parametrize("size", [(640, 480), (960, 480), (200, 400)])
def test_a_figure_is_never_off_screen(three_d, speed, size):
    for azimuth in (0, 35, 140, np.linspace(0, 360, 50)):
        ends = body_ends(scene_strokes(scene(speed=speed), CONFIG, size, three_d=three_d, azimuth_deg=azimuth))
        assert (ends >= 0).all()
        assert (ends <= np.array(size)).all()


def test_a_far_traveller_is_followed_and_stays_large():
    strokes = scene_strokes(scene(250, speed=3.0), CONFIG, ground=False)
    tall = np.ptp(strokes.ends[..., 1], axis=(1, 2))
    assert tall.min() > 0.3 * CONFIG.height_px


def test_a_mirrored_wave_is_drawn_on_the_other_side():
    joints = walker(speed=0.0)
    layout, blue, red = stick_layout("stick20"), STYLES["normal"].ink(0, "left"), STYLES["normal"].ink(0, "right")

    def highest(bodies, colour):
        motion = scene_of_motion(sticks(bodies, layout, 0.0), FPS)
        strokes = scene_strokes(motion, CONFIG, ground=False)
        mine = (strokes.colours == colour).all(1)
        ends = strokes.ends[10][mine].reshape(-1, 2)
        return ends[ends[:, 1].argmin()]

    there, back = highest(joints, blue), highest(mirror_joints(joints), red)
    middle = CONFIG.width_px / 2
    assert there[0] > middle > back[0]
    assert_allclose(there[1], back[1], atol=1e-9)


def test_the_nearer_limb_is_drawn_later():
    still_body = walker(speed=0.0, wave=False)
    side = scene_of_motion(sticks(still_body, stick_layout("stick20"), 0.0), FPS, joints=still_body)
    strokes = scene_strokes(side, CONFIG, three_d=True, azimuth_deg=90, ground=False)
    place = {tuple(STYLES["normal"].ink(0, s)): [] for s in ("left", "right")}
    for position, n in enumerate(strokes.order[0]):
        if tuple(strokes.colours[n]) in place:
            place[tuple(strokes.colours[n])].append(position)
    left, right = (np.mean(place[tuple(STYLES["normal"].ink(0, s))]) for s in ("left", "right"))
    # At azimuth 90 the viewer stands at −X, on the body's right.
    assert right > left


@pytest.mark.parametrize("style", STYLES)
def test_every_style_draws_a_frame_of_the_right_size(style):
    picture = still(scene(10), CONFIG, 5, style=style)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    assert (picture != STYLES[style].background).any(-1).mean() > 0.005


def test_frames_are_the_same_on_every_run():
    first, second = (list(frames_of(scene(7), CONFIG, style="sketch")) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_capsule_outline_is_as_wide_as_its_stroke():
    ring = outlines(np.array([[[[10.0, 20.0], [30.0, 20.0]]]]), np.array([[[4.0, 8.0]]]))[0, 0]
    assert_allclose([ring[:, 0].min(), ring[:, 0].max(), ring[:, 1].min(), ring[:, 1].max()], [8, 34, 16, 24])


def test_absent_people_are_not_drawn():
    here = scene(20, caption="")
    gone = replace(here, present=np.zeros((20, 1), bool))
    assert not scene_strokes(gone, CONFIG, ground=False).visible.any()
    assert (still(gone, CONFIG, 3) == 255).mean() > 0.98


def test_non_finite_motion_and_odd_shapes_are_refused():
    with pytest.raises(StickgenError, match="non-finite"):
        scene_of_motion(np.full((5, 20), np.nan), FPS)
    with pytest.raises(StickgenError, match="expected motion"):
        scene_of_motion(np.zeros(20), FPS)


def test_video_has_the_right_size_rate_and_length(tmp_path):
    assert write_mp4(tmp_path / "a.mp4", frames_of(scene(20), CONFIG), FPS, CONFIG.video) == 20
    frames, rate = read_mp4(tmp_path / "a.mp4")
    assert len(frames) == 20
    assert rate == FPS
    assert frames[0].shape == (480, 640, 3)
    write_mp4(tmp_path / "b.mp4", frames_of(scene(20), CONFIG), FPS, CONFIG.video)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_side_by_side_is_wide_and_as_long_as_the_longer(tmp_path):
    frames = list(side_by_side([scene(5), scene(9)], CONFIG))
    assert len(frames) == 9
    assert frames[0].shape == (480, 960, 3)


def test_video_without_frames_or_beyond_its_bound_leaves_nothing(tmp_path):
    with pytest.raises(StickgenError, match="no frames"):
        write_mp4(tmp_path / "a.mp4", [], FPS, CONFIG.video)
    short = CONFIG.video.model_copy(update={"longest_s": 0.2})
    with pytest.raises(StickgenError, match="longest_s"):
        write_mp4(tmp_path / "a.mp4", frames_of(scene(20), CONFIG), FPS, short)
    assert not list(tmp_path.iterdir())


def test_gif_png_and_svg(tmp_path):
    from xml.etree import ElementTree

    from PIL import Image

    assert write_gif(tmp_path / "a.gif", frames_of(scene(25), CONFIG), FPS, CONFIG.video) == 20
    assert Image.open(tmp_path / "a.gif").n_frames > 10
    assert png_bytes(still(scene(3), CONFIG, 0)).startswith(b"\x89PNG")
    text = svg_text(scene_strokes(scene(3), CONFIG), 0, STYLES["normal"], "a < b")
    assert len(list(ElementTree.fromstring(text))) > 10


def test_contact_sheet_holds_every_clip():
    sheet = contact_sheet([scene_of_clip(clip(30), FPS) for _ in range(3)], CONFIG, columns=2)
    assert sheet.shape[1] > 2 * CONFIG.width_px
    assert sheet.shape[0] > CONFIG.height_px


def test_a_face_changes_in_three_tenths_of_a_second_without_a_jump():
    moods = (Mood(0.0), Mood(1.0, "surprised"))
    track = face_track(moods, np.arange(100) / 50, FaceConfig())
    at = lambda second: track[round(second * 50)]  # noqa: E731
    assert_allclose(at(1.0), EXPRESSIONS["neutral"])
    assert_allclose(at(1.3), EXPRESSIONS["surprised"], atol=1e-12)
    assert 0.2 < at(1.16)[0] < 0.8
    assert np.abs(np.diff(track, axis=0)).max() < 0.15


def test_a_change_within_a_change_starts_where_the_face_is():
    track = face_track((Mood(0.0), Mood(0.5, "happy"), Mood(0.6, "angry")), np.arange(200) / 100, FaceConfig())
    assert np.abs(np.diff(track, axis=0)).max() < 0.12
    assert_allclose(track[-1], EXPRESSIONS["angry"], atol=1e-9)


def test_mouths_cycle_while_they_talk():
    opening = face_track((Mood(0.0, mouth="talk"),), np.arange(100) / 50, FaceConfig())[:, 4]
    assert opening.max() > 0.4
    assert opening.min() < 0.02


def test_moods_follow_words_not_letters_and_labels_say_more_than_texts():
    assert moods_of([("he was made to walk", 0, 2)], None, FPS)[0] == Mood(0.0)
    assert moods_of([("she laughs and waves", 0, 2)], None, FPS)[0] == Mood(0.0, "happy", "closed", "open")
    actions = np.repeat([0, 1], 25)
    moods = moods_of([("a happy person", 0, 2)], actions, FPS, ["stand", "punch"])
    assert moods == (Mood(0.0, "happy"), Mood(1.0, "angry", "closed", "fist"))
    assert moods_of([], None, FPS, emotion="sadness", speech=[(0, 1)])[0] == Mood(0.0, "sad", "talk")
    assert hand_track(moods, np.arange(50) / FPS, FaceConfig())[-1, 1] < 0.2


def test_several_people_have_their_own_colours():
    two = np.concatenate([walker(), walker() + [1.2, 0, 0]], axis=1)
    both = scene_of_motion(sticks(two, stick_layout("stick20"), 0.0), FPS, joints=two)
    colours = {tuple(c) for c in scene_strokes(both, CONFIG, ground=False).colours}
    assert {STYLES["normal"].ink(0, "left"), STYLES["normal"].ink(1, "left")} <= colours
