"""The picture commands as a person calls them: every form of output, several motions, a corpus, parallax, smoke; and what they refuse."""

import json

import numpy as np
import pytest
import torch

from stickgen_core.corpus import Corpus, CorpusWriter
from stickgen_core.corpus.ledger import LedgerRow
from stickgen_core.rendering.media import read_mp4
from stickgen_core.rendering.motionfile import read_motion
from stickgen_core.rendering.packed import packed_people
from stickgen_core.rendering.parallax import METADATA
from stickgen_core.training.checkpoints import BEST, FORMAT, save
from stickgen_pipeline import cli
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve, run_of
from stickgen_pipeline.steps import perform
from tests.core.generation.generation_tiny import run, statistics, tiny
from tests.core.rendering.rendering_people import clip, walker

torch.set_num_threads(1)
SMALL = (
    "-c",
    "rendering.width_px=160",
    "-c",
    "rendering.height_px=120",
    "-c",
    "rendering.wide_px=320",
    "-c",
    "rendering.parallax.size_px=48",
)
TINY_TEXT = ("-c", "text.encoder=hashing", "-c", "text.hashing_width=32")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data root with a corpus of four clips, the third of two people, and a checkpoint that is not trained."""
    root = tmp_path_factory.mktemp("home")
    pair = np.concatenate([walker(30), walker(30) + [1.0, 0, 0]], axis=1)
    writer = CorpusWriter(root / "corpus", shards=root / "shards", name="corpus", kind="corpus", recipe="r", parents={})
    for n in range(4):
        writer.add(clip(30, f"synthetic/{n:06d}#0", bodies=pair if n == 2 else None))
    writer.publish({})
    save(
        root / "model" / BEST,
        {"format": FORMAT, "model_state_dict": tiny().model.state_dict(), "ema": {}, "config": run().model_dump(mode="json"), "epoch": 1,
         "step": 1, "statistics": statistics().to_dict(), "parents": {}, "base": None},
    )  # fmt: skip
    return root


@pytest.fixture
def stickgen(home, monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; gives its JSON, or the line that it failed with."""
    monkeypatch.setenv("STICKGEN_PROFILE", "test")
    monkeypatch.setenv("STICKGEN_DATA", str(home / "data"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        assert cli.main([*SMALL, *TINY_TEXT, *arguments, "--json"]) == code
        told = capsys.readouterr()
        return json.loads(told.out) if told.out else told.err

    return call


CLIP = "synthetic/000001#0"


@pytest.mark.parametrize("suffix", ["mp4", "gif", "png", "svg", "motion", "bvh", "gltf", "html"])
def test_a_clip_of_a_corpus_in_every_form(home, stickgen, tmp_path, suffix):
    command = "export" if suffix in ("bvh", "gltf", "motion", "html") else "render"
    value = stickgen(command, f"{home / 'corpus'}:{CLIP}", "-o", f"a.{suffix}")
    assert (tmp_path / value["path"]).stat().st_size == value["bytes"] > 500


def test_styles_views_and_an_orbit_differ_and_files_play_side_by_side(home, stickgen, tmp_path):
    stickgen("export", f"{home / 'corpus'}:{CLIP}", "-o", "a.motion")
    looks = {}
    for n, look in enumerate(([], ["--style", "neon"], ["--3d"], ["--3d", "--azimuth", "120"], ["--3d", "--orbit", "180"])):
        stickgen("render", "a.motion", "-o", f"{n}.mp4", *look)
        looks[n] = read_mp4(tmp_path / f"{n}.mp4")[0][20]
    assert len({look.tobytes() for look in looks.values()}) == len(looks)
    stickgen("render", "a.motion", f"{home / 'corpus'}:synthetic/000003#0", "-o", "two.mp4")
    assert read_mp4(tmp_path / "two.mp4")[0][0].shape[1] == 320
    stickgen("render", "a.motion", "a.motion", "-o", "sheet.png")
    assert "together" in stickgen("render", "a.motion", "a.motion", "-o", "sheet.svg", code=1)
    assert "expected" in stickgen("render", "a.motion", "-o", "a.exe", code=1)


def test_a_page_of_two_motions_and_a_corpus_as_files(home, stickgen, tmp_path):
    stickgen("export", str(home / "corpus"), "-o", "files")
    files = sorted((tmp_path / "files").glob("*.motion"))
    assert [read_motion(file).actors for file in files] == [1, 1, 2, 1]
    assert stickgen("export", str(home / "corpus"), "-o", "few", "--limit", "2")["files"] == 2
    value = stickgen("view", *map(str, files[:2]), "-o", "page.html", "--title", "a & b")
    assert value["motions"] == 2 and "a &amp; b" in (tmp_path / "page.html").read_text()
    assert "no such file" in stickgen("view", "missing.motion", code=1)


def test_a_prompt_becomes_a_file_and_several_a_folder(home, stickgen, tmp_path):
    model = ("--model", str(home / "model"))
    value = stickgen("generate", "a person waves", "-o", "wave.mp4", "--seconds", "1", *model)
    assert len(read_mp4(tmp_path / "wave.mp4")[0]) == value["frames"] == 25
    wishes = (
        "--guidance",
        "2",
        "--negative",
        "run",
        "--steps",
        "2",
        "--action",
        "0-0.4:walk,0.4-1:wave",
        "--camera",
        "zoom in",
        "--actors",
        "2",
    )
    stickgen("generate", "a person waves", "-o", "a.motion", "--frames", "25", "--seed", "7", *wishes, *model)
    made = read_motion(tmp_path / "a.motion")
    assert made.actors == 2 and made.camera is not None and len(set(made.actions[:, 0].tolist())) == 2
    values = stickgen("generate", "one", "0-1 s walk, 1-2 s wave", "-o", "both", *model)
    assert [value["frames"] for value in values] == [64, 50] and len(list((tmp_path / "both").glob("*.motion"))) == 2
    assert "expected one of" in stickgen("generate", "a", "--action", "fly", *model, code=1)
    assert "make demo" in stickgen("generate", "a", code=1)
    assert "make demo" in stickgen("serve", code=1)


def test_parallax_says_what_it_costs_draws_and_goes_on(home, stickgen, tmp_path):
    corpus = str(home / "corpus")
    assert stickgen("parallax", corpus, "--clips", "0", "--views", "3", "--estimate", "-o", "px")["frames"] == 15
    assert not (tmp_path / "px").exists()
    first = stickgen("parallax", corpus, "--clips", "0", "--views", "3", "-o", "px")
    assert (first["written"], len(list((tmp_path / "px").rglob("*.png")))) == (5, 15)
    assert stickgen("parallax", corpus, "--clips", "0", "--views", "3", "-o", "px")["kept"] == 5
    stickgen("parallax", corpus, "--clips", "3", "--views", "2", "--packed", "-o", "packed")
    assert len(list(packed_people(tmp_path / "packed"))) == 3 or not list((tmp_path / "packed").glob("sample_*"))
    assert "budget_gb" in stickgen("parallax", corpus, "--clips", "0", "-o", "px", "-c", "rendering.parallax.budget_gb=0.00000001", code=1)


def test_smoke_tells_a_good_model_from_none(home, stickgen):
    rows = {row["check"]: row for row in stickgen("smoke", "--model", str(home / "model"))}
    assert all(row["passed"] for row in rows.values()) and len(rows) == 3
    assert "is_safe=False" in rows["critic on a random walk"]["found"]
    rows = {row["check"]: row for row in stickgen("smoke", code=1)}
    assert not rows["prompt to motion"]["passed"] and "make demo" in rows["prompt to motion"]["found"]


def test_the_views_of_a_multimodal_run_are_a_step_that_it_needs(home, monkeypatch, tmp_path):
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path))
    plain = steps_of(resolve("test"))
    assert "corpus/parallax_views" not in plain["checkpoint/small_pretrain"].parents and not plain["corpus/parallax_views"].by_default
    settings = resolve("test", overrides=["data.use_parallax_augmentation=true"])
    steps = steps_of(settings)
    assert "corpus/parallax_views" in steps["checkpoint/small_pretrain"].parents
    assert run_of(settings, "small", "pretrain").data.use_parallax_augmentation
    source = Corpus.open(home / "corpus")
    places = settings.places
    source.select(range(len(source)), places.embedded("pretrain"), name="corpus/embedded_pretrain", recipe="r")
    outcome = perform(steps["corpus/parallax_views"], steps, tmp_path / "state", lambda label, done, total: None)
    assert outcome.manifest.counts["drawn"] == 5 and not outcome.blocked_by
    assert perform(steps["corpus/parallax_views"], steps, tmp_path / "state", lambda *event: None).reused
    assert len(list(places.parallax.rglob(METADATA))) == 5
    gone = [LedgerRow("synthetic", source.ids[0], "select", "gone")]
    source.select([1, 2, 3], places.embedded("pretrain"), name="corpus/embedded_pretrain", recipe="r", ledger=gone)
    moved = perform(steps["corpus/parallax_views"], steps, tmp_path / "state", lambda *event: None)
    assert not moved.blocked_by and "4 metadata.json found" in moved.verdicts[0][1].text
    assert {str(path.parent.relative_to(places.parallax)) for path in places.parallax.rglob(METADATA)} == {
        "sample_000000/actor_0", "sample_000001/actor_0", "sample_000001/actor_1", "sample_000002/actor_0",
    }  # fmt: skip
    other = steps_of(resolve("test", overrides=["rendering.parallax.packed=true", "rendering.parallax.clips=2"]))
    again = perform(other["corpus/parallax_views"], other, tmp_path / "state", lambda *event: None)
    assert again.manifest.counts["clips"] == 2 and not list(places.parallax.glob("sample_*"))
