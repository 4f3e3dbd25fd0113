"""Does it learn: sampled motion obeys the text, and only because of the text."""

from pathlib import Path

import pytest
import torch

from tests.core.training.mechanism import KINDS, experiment

torch.set_num_threads(1)


@pytest.mark.slow
def test_sampled_motion_obeys_the_text(tmp_path: Path) -> None:
    found = experiment(tmp_path, 400)
    for obeyed in found.values():
        assert obeyed.both >= 0.95 and obeyed.arm >= 0.95 and 0.8 < obeyed.energy < 1.2


@pytest.mark.slow
def test_shuffled_texts_are_obeyed_by_chance(tmp_path: Path) -> None:
    assert experiment(tmp_path, 200, shuffled=True, guidance=(1.0,))[1.0].both < 3 / KINDS
