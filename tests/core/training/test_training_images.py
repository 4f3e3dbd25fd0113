"""Parallax pictures in training: each clip sees its own, the draw is seeded, absence is absence, and the loop learns with them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, Corrupt, MissingInput
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.parallax import METADATA, write_parallax
from stickgen_core.training import checkpoints
from stickgen_core.training.batches import Batch, Clips
from stickgen_core.training.config import RunConfig
from stickgen_core.training.images import VIEWPOINT_WIDTH, ParallaxImages
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.training.training_factory import FPS, WordVectors, swings, tiny_run

torch.set_num_threads(1)
SIZE = 16


def drawn(folder: Path, corpus: Corpus, clips: int, views: int = 3, packed: bool = False) -> Path:
    """Pictures of the first clips, as rendering writes them."""
    parallax = RenderingConfig().parallax.model_copy(update={"size_px": 32, "views": views, "packed": packed})
    config = RenderingConfig().model_copy(update={"parallax": parallax})
    some = [corpus.clip(n) for n in range(clips)]
    write_parallax(some, folder, config, fps=FPS, seed=1, actors=sum(c.actors for c in some))
    return folder


def run_on(root: Path, *overrides: str) -> RunConfig:
    options = (f"data.parallax_root={root}", f"data.parallax_image_size=[{SIZE},{SIZE}]", "data.use_parallax_augmentation=true")
    return tiny_run(*options, *overrides)


def batch_of(corpus: Corpus, run: RunConfig) -> Batch:
    clips = Clips(corpus, "train", WordVectors(64), motion_statistics(corpus), run.data, 64)
    return replace(clips.collate(torch.arange(3).numpy(), [None] * 3), clip_ids=tuple(corpus.ids[n] for n in (2, 0, 5)))


def test_every_picture_is_of_its_own_clip_and_the_draw_is_seeded(tmp_path: Path) -> None:
    corpus = swings(tmp_path, 6, validation=1)
    images = ParallaxImages.open(run := run_on(drawn(tmp_path / "views", corpus, 4)), corpus)
    folder_of = {json.loads(p.read_text())["clip_id"]: p.parent.parent for p in (tmp_path / "views").rglob(METADATA)}
    assert {i: {s.file.parent.parent for s in shots} for i, shots in images.shots.items()} == {i: {f} for i, f in folder_of.items()}
    batch = images.attached(batch_of(corpus, run), 7, 0)
    assert batch.image.shape == (3, 3, SIZE, SIZE) and batch.viewpoint.shape == (3, VIEWPOINT_WIDTH)
    assert batch.has_image.tolist() == [True, True, False], "the sixth clip was not drawn"
    assert not batch.image[2].any() and batch.image[:2].flatten(1).std(1).min() > 0.01 and batch.image.abs().max() <= 1
    again = ParallaxImages.open(run, corpus).attached(batch_of(corpus, run), 7, 0)
    assert torch.equal(again.image, batch.image) and torch.equal(again.viewpoint, batch.viewpoint)
    assert len({images.shot(corpus.ids[0], 7, epoch).file for epoch in range(30)}) == len(images.shots[corpus.ids[0]])
    shot = images.shot(corpus.ids[2], 7, 0)
    camera = next(f["camera"] for f in json.loads((shot.file.parent / METADATA).read_text())["frames"] if f["file"] == shot.file.name)
    assert batch.viewpoint[0].tolist() == pytest.approx([*camera["position_m"], *camera["target_m"], camera["fov_deg"] * 0.0174532925])


def test_packed_shards_feed_training_the_very_same_numbers(tmp_path: Path) -> None:
    corpus = swings(tmp_path, 6, validation=1)
    loose = ParallaxImages.open(run := run_on(drawn(tmp_path / "views", corpus, 4)), corpus)
    packed_run = run_on(drawn(tmp_path / "packed_views", corpus, 4, packed=True))
    packed = ParallaxImages.open(packed_run, corpus)
    assert not list((tmp_path / "packed_views").glob("sample_*")) and packed.shots.keys() == loose.shots.keys()
    one, other = loose.attached(batch_of(corpus, run), 7, 0), packed.attached(batch_of(corpus, packed_run), 7, 0)
    assert torch.equal(one.image, other.image) and torch.equal(one.viewpoint, other.viewpoint)


def test_clips_without_pictures_leave_the_batch_alone(tmp_path: Path) -> None:
    corpus = swings(tmp_path, 6, validation=1)
    run = run_on(drawn(tmp_path / "views", corpus, 2))
    batch = batch_of(corpus, run)
    none = replace(batch, clip_ids=("a", "b", "c"))
    assert ParallaxImages.open(run, corpus).attached(none, 7, 0) is none


def test_missing_foreign_stale_and_hostile_pictures_are_refused_in_one_line(tmp_path: Path) -> None:
    corpus = swings(tmp_path, 6, validation=1)
    with pytest.raises(MissingInput, match="data.parallax_root"):
        ParallaxImages.open(run_on(tmp_path / "none"), corpus)
    root = drawn(tmp_path / "views", corpus, 1)
    with pytest.raises(ConfigError, match="image_camera_dim"):
        ParallaxImages.open(run_on(root, "model.image_camera_dim=6"), corpus)
    path = next(root.rglob(METADATA))
    value = json.loads(path.read_text())

    def changed(**changes: object) -> None:
        path.write_text(json.dumps({**value, **changes}))

    outside = [{**value["frames"][0], "file": "../../../secret.png"}]
    for changes, kind, match in (
        ({"clip_id": "elsewhere"}, MissingInput, "no picture of any of the 6 clips"), ({"clip_digest": "0"}, Corrupt, "another version"),
        ({"frames": outside}, Corrupt, "not a name in its folder"), ({"frames": 3}, Corrupt, "not parallax metadata"),
    ):  # fmt: skip
        changed(**changes)
        with pytest.raises(kind, match=match):
            ParallaxImages.open(run_on(root), corpus)
    changed()
    images = ParallaxImages.open(run_on(root), corpus)
    shot = images.shot(corpus.ids[0], 7, 0)
    shot.file.write_bytes(shot.file.read_bytes()[:60])
    with pytest.raises(Corrupt, match="not a readable picture"):
        images.attached(batch_of(corpus, run_on(root)), 7, 0)
    shot.file.unlink()
    with pytest.raises(MissingInput, match="not there"):
        images.attached(batch_of(corpus, run_on(root)), 7, 0)


def test_the_loop_trains_the_image_layers_and_remembers_the_pictures(tmp_path: Path) -> None:
    corpus, vectors = swings(tmp_path), WordVectors(64)
    run = run_on(drawn(tmp_path / "views", corpus, 12, views=1), "training.steps=3")
    paused = train(run, corpus, vectors, motion_statistics(corpus), tmp_path / "small", max_steps=1)
    before = {name: value.clone() for name, value in checkpoints.read(paused.folder / checkpoints.LATEST)["model_state_dict"].items()}
    done = train(run, corpus, vectors, motion_statistics(corpus), tmp_path / "small")
    after = checkpoints.read(done.folder / checkpoints.LATEST)
    layers = [name for name in before if name.startswith(("image_encoder.", "fusion.")) and name.endswith("weight")]
    assert layers and all(not torch.equal(before[name], after["model_state_dict"][name]) for name in layers)
    assert done.manifest.notes["images"] == after["images"] == ParallaxImages.open(run, corpus).digest
