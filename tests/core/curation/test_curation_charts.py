"""Charts show what the numbers say: a rule that took clips away is seen, a limit stands where it is configured."""

import io

import numpy as np
from PIL import Image

from stickgen_core.curation.charts import COLOURS, LOST, distributions, limits_of, waterfall
from stickgen_core.curation.config import CurationConfig
from stickgen_core.curation.statistics import histogram


def pixels(png: bytes, colour: str) -> int:
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(picture - wanted).max(-1) <= 2).sum())


def steps(*dropped: int, read: int = 1000) -> list[dict]:
    found = [{"reason": "read", "dropped": 0, "left": read, "limit": None}]
    for n, gone in enumerate(dropped):
        found.append({"reason": f"rule {n}", "dropped": gone, "left": found[-1]["left"] - gone, "limit": 0.5})
    return found


def test_the_waterfall_shows_losses_in_proportion():
    none, some, more = (pixels(waterfall({"sft": steps(0, gone)}), LOST) for gone in (0, 100, 400))
    assert none == 0 < some and 3 < more / some < 5
    assert waterfall({"sft": steps(1)}) == waterfall({"sft": steps(1)})


def test_every_source_is_drawn_and_a_source_without_a_value_is_not():
    config = CurationConfig()
    scores = {"quality": {"a": histogram(np.linspace(0.6, 1, 50), bounds=(0, 1)), "b": histogram(np.linspace(0, 0.5, 50), bounds=(0, 1)),
                          "mute": histogram(np.full(5, np.nan))}}  # fmt: skip
    png = distributions(scores, config)
    assert pixels(png, COLOURS[0]) > 20 < pixels(png, COLOURS[1]) and pixels(png, COLOURS[2]) == 0
    assert distributions({}, config)


def test_limits_are_those_of_the_configuration():
    found = limits_of(CurationConfig())
    assert found["jitter"] == {"documented": 0.3} and found["quality"] == {"pretrain": 0.5, "sft": 0.8}
    assert found["camera_stability"] == {"sft": 0.6} and found["artefact"] == {"pretrain": 0.5, "sft": 0.35}
