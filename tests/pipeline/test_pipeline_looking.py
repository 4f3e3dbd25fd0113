"""What the page of a corpus shows in the UI: tables whose numbers are those of the corpus, and pictures that are pictures."""

import base64
import io
import re
from collections import Counter

import pytest

from stickgen_core.corpus import Corpus
from stickgen_core.corpus.ledger import by_reason
from stickgen_pipeline.assets.factory import metadata_of
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.tables import MOST_ROWS


@pytest.fixture(scope="module")
def shown(pristine):
    """Asset key -> (its materialisation's metadata, its folder); everything stands, so nothing is made."""
    settings, steps = pristine.settings(), steps_of(pristine.settings())
    return {
        key: (metadata_of(steps[key], outcome, settings), steps[key].folder)
        for key, outcome in pristine.build().items() if key.startswith("corpus/")
    }  # fmt: skip


def cells(metadata, title):
    """Rows of a table, by their first cell."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in metadata[title].value.splitlines()[2:] if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in rows}


def size_of(metadata, title):
    """Width and height of a picture inside Markdown; read by a decoder."""
    from matplotlib.image import imread

    found = re.fullmatch(r"!\[[^]]*\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", metadata[title].value)
    assert found and len(found[1]) < 400_000
    return imread(io.BytesIO(base64.b64decode(found[1]))).shape[:2]


@pytest.mark.parametrize("key", ["corpus/merged", "corpus/curated_pretrain", "corpus/curated_sft", "corpus/embedded_sft"])
def test_every_corpus_shows_its_counts(shown, key):
    metadata, folder = shown[key]
    corpus = Corpus.open(folder)
    counts = corpus.manifest.counts
    overview = cells(metadata, "overview")
    assert [int(cell) for cell in overview["**all**"][:2]] == [len(corpus), counts["frames"]] and int(overview["**all**"][-1]) == counts[
        "captions"
    ]
    assert set(overview) - {"**all**"} == set(corpus.column("source"))
    actions = sorted(Counter(corpus.column("action").tolist()).values(), reverse=True)
    assert [int(row[0]) for row in cells(metadata, "actions").values()] == actions[:MOST_ROWS]
    assert metadata["dagster/row_count"].value == metadata["rows"].value == len(corpus)
    assert metadata["digest"].value == corpus.digest and metadata["retention"].value and metadata["wall_s"].value >= 0


def test_merged_shows_splits_balance_and_every_score_by_source(shown):
    metadata, folder = shown["corpus/merged"]
    corpus = Corpus.open(folder)
    lines = [line for line in metadata["splits"].value.splitlines()[2:] if line.startswith("|")]
    assert sum(int(line.strip("|").split("|")[2]) for line in lines) == len(corpus)
    kept = {name: int(row[1]) for name, row in cells(metadata, "balance").items()}
    assert kept == {name: corpus.manifest.notes["balance"]["kept"].get(name, 0) for name in kept} and sum(kept.values()) > 0
    assert min(size_of(shown["corpus/merged_statistics"][0], "scores by source")) > 200


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_a_selection_shows_what_each_rule_took(shown, stage):
    metadata, folder = shown[f"corpus/curated_{stage}"]
    corpus = Corpus.open(folder)
    fall = cells(metadata, "waterfall")
    dropped = {reason: int(row[0]) for reason, row in fall.items() if int(row[0])}
    assert dropped == by_reason(corpus.ledger())
    left = [int(row[1]) for row in fall.values()]
    assert left[-1] == len(corpus) and [a - b for a, b in zip(left, left[1:], strict=False)] == [int(row[0]) for row in fall.values()][1:]
    assert min(size_of(metadata, "waterfall chart")) > 100
    if dropped:
        said = {line.split("|")[2].strip(): int(line.split("|")[3]) for line in metadata["dropped"].value.splitlines()[2:]}
        assert said == by_reason(corpus.ledger())


def test_vectors_show_what_made_them(shown):
    encoder = cells(shown["corpus/embedded_sft"][0], "encoder")
    assert {"model", "revision", "pooling", "normalised", "width", "distinct texts", "digest"} <= set(encoder) and int(
        encoder["width"][0]
    ) > 0
