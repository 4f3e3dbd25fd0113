"""Parallax views: clips with joints seen by seeded cameras in true 3D, as RGBA frames and the camera numbers that made them.

`sample_XXXXXX/actor_Y/view_00000.png` (`view_00000_f000.png` with several frames a view) and `metadata.json`, which is written last:
an actor folder that has it, with every frame at its recorded size, is whole and is skipped when the run goes on.
Frames are drawn and written one by one. Packed, a person is a row of a shard instead of a folder (rendering/packed.py).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.corpus.clip import Clip
from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.records.seeds import generator
from stickgen_core.rendering.camera import View, framed
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.figure import figure_of_joints
from stickgen_core.rendering.media import png_bytes
from stickgen_core.rendering.packed import PackedWriter, packed_people
from stickgen_core.rendering.raster import rasterise
from stickgen_core.rendering.scene import Scene, moods_of_clip
from stickgen_core.rendering.strokes import strokes_of
from stickgen_core.rendering.styles import STYLES

Progress = Callable[[str, int, int], None]
METADATA = "metadata.json"


@dataclass(frozen=True)
class Estimate:
    """What a run will write, before it starts."""

    samples: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class Outcome:
    """What a run did: people drawn, already there, and without 3D joints or without the person."""

    written: int
    kept: int
    left_out: int
    frames: int
    bytes: int


def estimate(actors: int, config: RenderingConfig) -> Estimate:
    """For that many people over all clips; a frame's cost grows with its area."""
    parallax = config.parallax
    frames = actors * parallax.views * parallax.frames_per_view
    per_frame = parallax.kib_per_frame * 1024 * (parallax.size_px / 512) ** 2
    return Estimate(actors, frames, int(frames * per_frame))


def spread_rows(corpus: Corpus, most: int) -> list[int]:
    """All clips, or `most` of them spread evenly over the corpus (0: all)."""
    if not len(corpus):
        raise StickgenError(f"{corpus.folder}: 0 clips, nothing to draw")
    if not most or most >= len(corpus):
        return list(range(len(corpus)))
    return sorted({round(n * (len(corpus) - 1) / max(most - 1, 1)) for n in range(most)})


def write_corpus_parallax(
    corpus: Corpus, rows: Sequence[int], root: Path, config: RenderingConfig, *, fps: float, seed: int, progress: Progress | None = None,
    action_names: Sequence[str] = (),
) -> Outcome:  # fmt: skip
    """The views of these clips of a corpus, read one by one."""
    clips = (corpus.clip(row) for row in rows)
    return write_parallax(
        clips, root, config, fps=fps, seed=seed, actors=sum(people(corpus, rows)), progress=progress, action_names=action_names
    )


def people(corpus: Corpus, rows: Sequence[int]) -> list[int]:
    """How many people each of these clips has, from the index alone."""
    actors = corpus.column("actors")
    return [int(actors[row]) for row in rows]


def frame_name(view: int, frame: int, frames_per_view: int) -> str:
    """The documented names."""
    return f"view_{view:05d}.png" if frames_per_view == 1 else f"view_{view:05d}_f{frame:03d}.png"


def sample_folder(root: Path, sample: int, actor: int) -> Path:
    return root / f"sample_{sample:06d}" / f"actor_{actor}"


def write_parallax(clips: Sequence[Clip] | Iterator[Clip], root: Path, config: RenderingConfig, *, fps: float, seed: int, actors: int,
                   progress: Progress | None = None, action_names: Sequence[str] = ()) -> Outcome:  # fmt: skip
    """Draw every person of every clip, in the clips' order; `actors` is the number of people in all, for the budget and the progress."""
    expected = estimate(actors, config)
    budget = config.parallax.budget_gb * 1e9
    if expected.bytes > budget:
        raise StickgenError(
            f"{root}: {expected.frames} parallax frames would take about {expected.bytes / 1e9:.1f} GB, "
            f"rendering.parallax.budget_gb is {config.parallax.budget_gb:g}; lower views, frames or size, or raise the budget"
        )
    store: _Folders | _Shards = _Shards(root, config) if config.parallax.packed else _Folders(root, config)
    written = kept = left_out = frames = size = done = 0
    try:
        for sample, clip in enumerate(clips):
            for actor in range(clip.actors):
                done += 1
                recipe = _recipe(clip, actor, config, fps, seed)
                if not has_joints(clip) or not clip.present[:, actor].any():
                    left_out += 1
                elif store.holds(sample, actor, recipe):
                    kept += 1
                else:
                    count, size_now = store.add(sample, actor, recipe, _drawn(clip, actor, config, recipe, action_names))
                    written, frames, size = written + 1, frames + count, size + size_now
                if progress:
                    progress("parallax", done, actors)
        store.close()
    finally:
        store.abandon()
    return Outcome(written, kept, left_out, frames, size)


def has_joints(clip: Clip) -> bool:
    """True if no joint of the body is absent (2): then there is depth to show."""
    return bool((clip.joint_source < 2).all())


def _recipe(clip: Clip, actor: int, config: RenderingConfig, fps: float, seed: int) -> dict[str, Any]:
    return {
        "clip_id": clip.id, "clip_digest": clip.digest(), "actor": actor, "fps": fps, "seed": seed,
        "settings": config.model_dump(mode="json", exclude={"video": True, "parallax": {"packed", "shard_mb", "budget_gb", "kib_per_frame", "clips"}}),
    }  # fmt: skip


class _Folders:
    """A folder a person; the metadata, written last, says that it is whole."""

    def __init__(self, root: Path, config: RenderingConfig):
        self.root, self.config = root, config

    def holds(self, sample: int, actor: int, recipe: dict[str, Any]) -> bool:
        folder = sample_folder(self.root, sample, actor)
        try:
            found = json.loads((folder / METADATA).read_text(encoding="utf-8"))
            return _same(found, recipe) and all((folder / frame["file"]).stat().st_size == frame["bytes"] for frame in found["frames"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def add(self, sample: int, actor: int, recipe: dict[str, Any], drawn: Iterator[tuple[dict[str, Any], bytes]]) -> tuple[int, int]:
        folder = sample_folder(self.root, sample, actor)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METADATA).unlink(missing_ok=True)
        for old in folder.iterdir():  # never written over: an artefact that was set aside shares its files
            old.unlink()
        records = []
        for record, data in drawn:
            (folder / record["file"]).write_bytes(data)
            records.append(record)
        publish_text(folder / METADATA, _metadata(recipe, self.config, records))
        return len(records), sum(record["bytes"] for record in records)

    def close(self) -> None:
        """Every folder is already published."""

    def abandon(self) -> None:
        """A folder without metadata is drawn again."""


class _Shards:
    """A row a person; what full shards hold is not drawn again."""

    def __init__(self, root: Path, config: RenderingConfig):
        self.writer, self.config = PackedWriter(root, config.parallax.shard_mb), config
        self.found: dict[tuple[str, int], dict[str, Any]] = {}
        for _, metadata, _ in packed_people(root):
            value = json.loads(metadata)
            self.found[value["clip_id"], value["actor"]] = {key: value[key] for key in value if key != "frames"}

    def holds(self, sample: int, actor: int, recipe: dict[str, Any]) -> bool:
        found = self.found.get((recipe["clip_id"], actor))
        if found is None:
            return False
        if not _same(found, recipe):
            raise StickgenError(
                f"{self.writer.folder}: holds clip {recipe['clip_id']} drawn from other motion or settings; remove the folder and run again"
            )
        return True

    def add(self, sample: int, actor: int, recipe: dict[str, Any], drawn: Iterator[tuple[dict[str, Any], bytes]]) -> tuple[int, int]:
        records, frames = zip(*drawn, strict=True)
        self.writer.add(sample, actor, _metadata(recipe, self.config, records).encode(), list(frames))
        return len(frames), sum(map(len, frames))

    def close(self) -> None:
        self.writer.close()

    def abandon(self) -> None:
        self.writer.abandon()


def _same(found: dict[str, Any], recipe: dict[str, Any]) -> bool:
    return {key: found.get(key) for key in recipe} == json.loads(json.dumps(recipe))


def _metadata(recipe: dict[str, Any], config: RenderingConfig, records: Sequence[dict[str, Any]]) -> str:
    parallax = config.parallax
    value = {
        **recipe,
        "size_px": parallax.size_px,
        "views": parallax.views,
        "frames_per_view": parallax.frames_per_view,
        "frames": list(records),
    }
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _drawn(
    clip: Clip, actor: int, config: RenderingConfig, recipe: dict[str, Any], action_names: Sequence[str]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """(record, PNG) of every frame of every view of one person, one at a time."""
    parallax = config.parallax
    for number in range(parallax.views):
        shown, view, pictures = parallax_view(clip, actor, number, config, recipe["fps"], recipe["seed"], action_names)
        for step, picture in enumerate(pictures):
            data = png_bytes(picture, parallax.png_compression)
            yield {
                "file": frame_name(number, step, parallax.frames_per_view), "bytes": len(data), "view": number, "frame": int(shown[step]),
                "time_s": float(shown[step] / recipe["fps"]), "camera": _camera_record(view, step),
            }, data  # fmt: skip


def parallax_view(
    clip: Clip, actor: int, number: int, config: RenderingConfig, fps: float, seed: int, action_names: Sequence[str] = ()
) -> tuple[np.ndarray, View, Iterator[np.ndarray]]:
    """Frame indices, cameras and RGBA pictures [S, S, 4] of one view: a camera of its own, drawn from (seed, clip digest, actor, view)."""
    parallax = config.parallax
    random = generator(seed, "parallax", clip.id, actor, number)
    there = np.flatnonzero(clip.present[:, actor])
    count = min(parallax.frames_per_view, len(there))
    start = int(random.integers(0, len(there) - count + 1)) if parallax.frames_per_view == 1 else 0
    shown = there[start : start + 1] if count == 1 else there[np.linspace(0, len(there) - 1, count).round().astype(int)]
    turn = np.deg2rad(parallax.orbit_deg) * random.uniform(-1, 1)
    azimuth = random.uniform(-np.pi, np.pi) + (turn * np.linspace(0, 1, len(shown)) if len(shown) > 1 else np.zeros(1))
    elevation = np.deg2rad(random.uniform(*parallax.elevation_deg))
    figure = figure_of_joints(clip.joints[shown, actor : actor + 1], np.ones((len(shown), 1), bool))
    size = (parallax.size_px, parallax.size_px)
    view = framed(
        figure, size, azimuth, elevation, fov_rad=float(np.deg2rad(random.uniform(*parallax.fov_deg))), margin=parallax.margin,
        smallest_figure=config.smallest_figure, follow_frames=max(config.follow_s * len(shown) / max(len(there) / fps, 1e-9), 1e-3),
    )  # fmt: skip
    scene = Scene(
        clip.id, fps, clip.motion[shown, actor : actor + 1], figure.present, moods=(moods_of_clip(clip, actor, fps, action_names),),
        moments=shown / fps,
    )  # fmt: skip
    style = STYLES[config.style]
    strokes = strokes_of(scene, figure, view, size, style, config, ground=False)
    return shown, view, rasterise(strokes, style, transparent=True)


def _camera_record(view: View, frame: int) -> dict[str, Any]:
    """Enough to place the camera again: where it looks, from where, how wide."""
    _, _, toward = view.axes()
    eye = view.centre[frame] + toward[frame] * view.distance()[frame]
    return {
        "azimuth_deg": round(float(np.rad2deg(view.azimuth[frame])), 6), "elevation_deg": round(float(np.rad2deg(view.elevation[frame])), 6),
        "fov_deg": round(float(np.rad2deg(view.fov_rad)), 6), "target_m": [round(float(v), 6) for v in view.centre[frame]],
        "position_m": [round(float(v), 6) for v in eye], "visible_height_m": round(float(view.height_m[frame]), 6),
    }  # fmt: skip
