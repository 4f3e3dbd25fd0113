"""The training loop that the documentation shows runs as it stands, and learns."""

import re
from pathlib import Path

import numpy as np
import pytest

from stickgen_core.corpus.export_pt import export_pt

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
PAGE = Path(__file__).parents[3] / "docs" / "pt-files.md"


def test_the_loop_of_the_page_trains_on_an_export(build, tmp_path, monkeypatch, capsys):
    corpus = build(numbers=range(12))
    keys = [[f"{i}" for _ in corpus.texts(i)] for i in range(len(corpus))]
    embedded = corpus.select(range(len(corpus)), tmp_path / "e", "e", "r", {"text_keys": keys})
    export_pt(
        embedded, tmp_path / "sft_data_embedded.pt", vectors=lambda wanted: np.eye(16, dtype=np.float32)[[int(key) for key in wanted]]
    )
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len([line for line in code.strip().splitlines() if line and not line.startswith("import")]) <= 10
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    exec(compile(code, str(PAGE), "exec"), {})
    losses = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 20 and losses[-1] < losses[0]
