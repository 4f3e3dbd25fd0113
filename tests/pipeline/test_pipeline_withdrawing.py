"""A source withdrawn from a profile: gone from corpora, vectors and measurements, and not read again while its stone stands."""

from dataclasses import replace

import pytest

from bench.clips import random_clip
from stickgen_core.corpus import Corpus, CorpusWriter
from stickgen_core.curation.measure import measure
from stickgen_core.settings import load_settings
from stickgen_core.sources.recording import Text
from stickgen_core.text import TextVectors, embed, encoder_for, text_key
from stickgen_pipeline.cli import main
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.steps import Work
from stickgen_pipeline.withdrawing import withdraw_source

SECRET = "a sentence that only the withdrawn source says"


@pytest.fixture
def settings(tmp_path):
    return load_settings("test", environ={"STICKGEN_DATA": str(tmp_path)})


@pytest.fixture
def filled(settings):
    """Two canonical corpora, measured and embedded."""
    places = settings.places
    for name in ("synthetic", "deepmimic"):
        with CorpusWriter(places.canonical(name), shards=places.shards, name=f"canonical/{name}") as writer:
            for number in range(3):
                text = Text(SECRET if name == "deepmimic" else f"a person does thing {number}", 0.0, 1.0, "caption")
                writer.add(replace(random_clip(number, source=name, frames=30), texts=(text,)))
            corpus = writer.publish()
        measure(corpus, settings.config.curation, places.measurements)
        embed(corpus, settings.config.text, places.text_vectors, places.data / f"embedded_{name}", name=f"embedded/{name}")
    return settings


def test_rows_vectors_and_measurements_are_gone_and_the_next_build_leaves_it_out(filled):
    places = filled.places
    encoder = encoder_for(filled.config.text)
    kept = Corpus.open(places.canonical("synthetic")).digest
    done = withdraw_source(filled, "deepmimic", "revoked")
    assert done.stone.clips == 3 and done.vectors == 1 and done.measurements == 1
    vectors = TextVectors.open(places.text_vectors / encoder.digest)
    assert text_key(encoder.digest, SECRET) not in vectors and text_key(encoder.digest, "a person does thing 1") in vectors
    assert not any(SECRET.encode() in path.read_bytes() for path in places.data.rglob("*.arrow"))
    assert Corpus.open(places.canonical("synthetic")).digest == kept
    step = steps_of(filled)["canonical/deepmimic"]
    step.make(Work(step.key, step.folder, "r", {"raw/deepmimic": "0"}, lambda *_: None))
    corpus = Corpus.open(step.folder)
    assert len(corpus) == 0 and "revoked" in corpus.manifest.notes["absent"]


def test_a_withdrawal_and_its_lifting_make_the_canonical_step_stale(filled):
    recipe = steps_of(filled)["canonical/deepmimic"].recipe
    before = recipe()
    withdraw_source(filled, "deepmimic", "revoked")
    assert recipe() != before


def test_the_commands_answer_in_one_line_each(filled, monkeypatch, capsys):
    monkeypatch.setenv("STICKGEN_DATA", str(filled.places.data))
    monkeypatch.setenv("STICKGEN_PROFILE", "test")
    assert main(["corpus", "withdraw", "nothing", "--reason", "x"]) == 1
    assert "no corpus holds a clip of 'nothing'" in capsys.readouterr().err
    assert main(["corpus", "withdraw", "deepmimic", "--reason", "revoked"]) == 0
    assert "3 clips withdrawn" in capsys.readouterr().out
    assert main(["corpus", "reinstate", "deepmimic"]) == 0
    assert main(["corpus", "reinstate", "deepmimic"]) == 1
    assert "no tombstone" in capsys.readouterr().err
