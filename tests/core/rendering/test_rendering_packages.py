"""A package that only pictures need and that is not installed is named with the extra that brings it."""

import sys
import tomllib
from pathlib import Path

import pytest

from stickgen_core.errors import MissingInput
from stickgen_core.rendering import RenderingConfig
from stickgen_core.rendering.media import png_bytes, write_gif, write_mp4
from stickgen_core.rendering.packages import EXTRAS
from stickgen_core.rendering.pictures import still
from tests.core.rendering.rendering_people import scene

CONFIG = RenderingConfig()


@pytest.mark.parametrize(
    ("missing", "work", "message"),
    [
        ("cv2", lambda path: still(scene(2), CONFIG, 0), "opencv-python-headless.*`image`"),
        ("cv2", lambda path: png_bytes(None), "opencv-python-headless"),
        ("PIL", lambda path: write_gif(path, [], 25.0, CONFIG.video), "pillow.*`image`"),
        ("av", lambda path: write_mp4(path, [], 25.0, CONFIG.video), "av.*`video`"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path, missing, work, message):
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingInput, match=message):
        work(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_every_extra_that_is_named_exists():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    for package, extra in EXTRAS.values():
        assert package in project["optional-dependencies"][extra]
    assert {"fastapi", "uvicorn"} <= set(project["optional-dependencies"]["service"])
