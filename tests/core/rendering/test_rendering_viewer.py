"""The player in headless Chromium: loads, plays, draws what the Python renderer draws, feels what it feels, complains of nothing."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stickgen_core.rendering import RenderingConfig, figure, moods, scene_of_motion
from stickgen_core.rendering.moods import Mood, face_track, hand_track
from stickgen_core.rendering.pictures import still
from stickgen_core.rendering.styles import STYLES
from stickgen_core.rendering.viewer import drawing_tables, player_script, viewer_html
from stickgen_core.skeleton import stick_layout, sticks
from tests.core.rendering.rendering_people import FPS, scene, walker
from tests.pipeline.devtools import browser, chromium

CONFIG = RenderingConfig()
SIDES = {side: np.array(STYLES["normal"].ink(0, side)) for side in ("left", "right")}


def test_the_players_tables_are_the_renderers_own():
    line = next(line for line in player_script().splitlines() if "const TABLES" in line)
    tables = json.loads(line.partition("= ")[2].rstrip(";"))
    assert tables == json.loads(json.dumps(drawing_tables(CONFIG)))
    assert tables["expressions"] == {name: list(values) for name, values in moods.EXPRESSIONS.items()}
    assert tables["chains"] == [list(chain) for chain in figure.CHAINS]
    for word in ("left_elbow", "surprised", "0.115"):
        assert player_script().count(word) == 1, "a table stands in the script a second time"


def far():
    """Those whom a camera may lose: one who runs fast, one who crawls, two who part."""
    lying = walker(60) @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float) + [0, 0.4, 0]
    parting = np.concatenate([walker(60, speed=2.0), walker(60, speed=-2.0)], axis=1)
    for bodies in (walker(60, speed=6.0), lying, parting):
        yield scene_of_motion(sticks(bodies, stick_layout("stick20"), 45.0), FPS, "far", joints=bodies)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if not chromium():
        pytest.skip("no Chromium on this machine")
    folder = tmp_path_factory.mktemp("viewer")
    motions = [scene(50, caption="a person walks and waves"), scene(40, caption="a person stands", speed=0.0), *far()]
    (folder / "page.html").write_text(viewer_html(motions, "two motions"))
    with browser(folder / "profile", 1000, 900) as found:
        found.scheme("light")
        found.go((folder / "page.html").as_uri())
        found.wait("document.querySelector('.sg-player') && document.querySelector('.sg-player').sgPlayer && true")
        yield found


PLAYER = "document.querySelector('.sg-player').sgPlayer"


@pytest.mark.browser
def test_it_plays_steps_turns_compares_and_complains_of_nothing(page):
    page.run(f"{PLAYER}.show([0]); {PLAYER}.seek(0)")
    page.run(f"{PLAYER}.root.focus()")
    page.key(" ", "Space")
    page.wait(f"{PLAYER}.second > 0.2")
    page.key(" ", "Space")
    second = page.run(f"{PLAYER}.second")
    page.key("ArrowRight", "ArrowRight")
    assert page.run(f"{PLAYER}.second") == pytest.approx((np.floor(second * 25 + 1e-6) + 1) / 25)
    solid = page.run(f"{PLAYER}.solid")
    page.key("v", "KeyV")
    assert page.run(f"{PLAYER}.solid") != solid
    page.run(f"{PLAYER}.show([0, 1])")
    assert page.run("document.querySelectorAll('.sg-view').length") == 2
    assert "a person stands" in page.text()
    assert page.complaints == []


@pytest.mark.browser
def test_no_figure_ever_leaves_the_canvas_wherever_the_viewer_stands(page):
    script = f"""(() => {{ const p = {PLAYER}; let worst = Infinity, large = 0;
      for (let n = 0; n < p.motions.length; n++) for (const solid of [true, false]) {{
        p.show([n]); p.solid = solid; p.zoom = 1;
        const [view] = p.views, motion = view.motion, {{ width, height }} = view.canvas;
        for (const azimuth of [0, 0.6, 1.6, 3, 5]) for (const elevation of [-0.3, 0.2, 1.4]) {{
          Object.assign(p, {{ azimuth, elevation }});
          let low = Infinity, high = -Infinity;
          for (let f = 0; f < motion.frames; f++) {{
            const camera = view.camera(solid, f);
            for (let a = 0; a < motion.actors; a++) for (const point of motion.points(f, a, solid).values()) {{
              const at = camera.look(point);
              worst = Math.min(worst, at.x, at.y, width - at.x, height - at.y);
              if (!f) {{ low = Math.min(low, at.y); high = Math.max(high, at.y); }}
            }} }}
          if (n === 2) large = Math.max(large, (high - low) / height);
        }} }}
      return [worst, large]; }})()"""
    worst, large = page.run(script)
    assert worst > 5, "pixels between a joint and the border"
    assert large > 0.35, "a fast runner is followed, not shown from afar"


def mask_of(picture, colour):
    """The pixels of one side's limbs, cut to a box common to both sides and scaled to 120 x 240."""
    import cv2

    near = {side: np.abs(picture.astype(int) - ink).max(-1) < 40 for side, ink in SIDES.items()}
    rows, columns = np.nonzero(near["left"] | near["right"])
    box = near[colour][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return cv2.resize(box.astype(np.uint8), (120, 240), interpolation=cv2.INTER_AREA) > 0


@pytest.mark.browser
def test_its_screenshot_shows_the_figure_that_the_video_shows(page, tmp_path):
    """Limbs of each side overlap once both pictures are cut to the figure: same pose, same sides, same widths."""
    import cv2

    page.run(f"{PLAYER}.show([1]); {PLAYER}.solid = false; {PLAYER}.zoom = 1; {PLAYER}.seek(0.5)")
    page.screenshot(tmp_path / "canvas.png", ".sg-view canvas")
    seen = cv2.cvtColor(cv2.imread(str(tmp_path / "canvas.png")), cv2.COLOR_BGR2RGB)
    drawn = still(scene(40, caption="", speed=0.0), CONFIG, 12, (960, 720))
    overlap = {}
    for side in SIDES:
        one, other = mask_of(seen, side), mask_of(drawn, side)
        overlap[side] = (one & other).sum() / (one | other).sum()
    swapped = (mask_of(seen, "left") & mask_of(drawn, "right")).sum() / (mask_of(seen, "left") | mask_of(drawn, "right")).sum()
    assert min(overlap.values()) > 0.8 > 0.4 > swapped, (overlap, swapped)


@pytest.mark.browser
def test_faces_and_hands_are_the_same_numbers_as_in_python(page):
    changes = (Mood(0.0), Mood(0.5, "happy", "talk", "open"), Mood(0.6, "angry", "shout", "fist"), Mood(1.4, "sad", "sing", "point"))
    times = np.arange(60) / 25
    told = json.dumps([{"start_s": m.start_s, "expression": m.expression, "mouth": m.mouth, "hands": m.hands} for m in changes])
    config = CONFIG.face.model_dump_json()
    for name, track in (("sgFaceAt", face_track), ("sgHandAt", hand_track)):
        found = json.loads(page.run(f"JSON.stringify({times.tolist()}.map((t) => {name}({told}, t, {config})))"))
        assert_allclose(found, track(changes, times, CONFIG.face), atol=1e-9)
