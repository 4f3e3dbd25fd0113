"""`stickgen preview` and `stickgen datasets add`: random clips of raw data as a contact sheet and a film, 3D joints beside the sticks.

Nothing needs to be built first: files are read and made into clips here and now, as a build would.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stickgen_core.canonical import clips_of, why_absent
from stickgen_core.canonical.space import upright_frames
from stickgen_core.config import load
from stickgen_core.corpus import Clip
from stickgen_core.errors import BadRecording, ConfigError, MissingInput, StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.records.seeds import generator
from stickgen_core.rendering import Caption, Scene, scene_of_clip
from stickgen_core.settings import Settings
from stickgen_core.skeleton.body import JOINT
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import SourceSpec, load_registry
from stickgen_pipeline.commands.common import answer, note, settings_of, size, table

# A person's head over a whole sample, standing or sitting: outside it the unit is wrong. Whoever states the unit may lie on the floor.
HEAD_M, LYING_M, STANDING_M = (0.45, 2.6), 0.05, 1.55
NAME = re.compile(r"[a-z][a-z0-9_]*")
DEFAULT_UNIT_M = {"bvh": 0.01, "joints": 1.0}
MOMENTS = 5


@dataclass
class Sample:
    """What a few units of a data set gave: clips, what could not be read and why, and how many of the frames stand on their feet."""

    clips: list[Clip] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    units: int = 0
    skipped: int = 0
    upright: int = 0
    frames: int = 0


def sample_of(spec: SourceSpec, settings: Settings, count: int, seed: int) -> Sample:
    """Up to `count` clips, one each of units drawn by name; a unit that gives none is noted and the next one drawn."""
    raw, config = settings.places.raw_of(spec.name), settings.config
    reason = why_absent(spec, raw)
    if reason:
        raise MissingInput(f"{spec.name}: {reason}")
    reader = reader_for(spec)
    found = reader.discover(raw)
    if not found.units:
        raise StickgenError(f"{spec.name}: nothing usable in {raw}; looked for {', '.join(spec.layout) or 'files of its reader'}")
    drawn = Sample(units=len(found.units), skipped=len(found.skipped))
    draw = generator(seed, "preview", spec.name)
    for position in draw.permutation(len(found.units)):
        unit = found.units[int(position)]
        try:
            for recording in reader.read(raw, unit):
                made = [clip for clip in clips_of(recording, spec, config.canonical, config.skeleton) if isinstance(clip, Clip)]
                upright, frames = upright_frames(recording.joints, recording.present, spec.axes)
                drawn.upright, drawn.frames = drawn.upright + upright, drawn.frames + frames
                if made:
                    drawn.clips.append(made[int(draw.integers(len(made)))])
                if len(drawn.clips) == count:
                    return drawn
        except BadRecording as bad:
            drawn.quarantined[unit.key] = str(bad)
    return drawn


def scenes_of(clips: Sequence[Clip], settings: Settings) -> list[Scene]:
    """Scenes whose one caption names the clip and what is said of it."""
    names, fps = [action.name for action in load_actions().rows], settings.config.canonical.fps
    scenes = []
    for clip in clips:
        scene = scene_of_clip(clip, fps, names)
        said = next((text.text for kind in ("caption", "template", "label") for text in clip.texts if text.kind == kind), "")
        scenes.append(replace(scene, captions=(Caption(f"{clip.id}  {said}".strip(), 0.0, scene.seconds),)))
    return scenes


def contact_sheet(scenes: Sequence[Scene], settings: Settings, path: Path) -> Path:
    """A row a clip: its joints in space on the left, its sticks on the right, at the same moments."""
    from stickgen_core.rendering import media, pictures

    config = settings.config.rendering
    tile = (config.width_px, config.height_px // 2)
    rows = [
        np.concatenate([pictures.strip(scene, config, tile, MOMENTS, three_d=three_d) for three_d in (True, False)], axis=1)
        for scene in scenes
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    media.write_png(path, np.concatenate(rows))
    return path


def film(scenes: Sequence[Scene], settings: Settings, path: Path, seconds: float) -> Path:
    """The clips one after the other, joints in space beside sticks, at most so many seconds each."""
    from stickgen_core.rendering import media, pictures

    config = settings.config.rendering
    half = (config.wide_px // 2, config.height_px)

    def frames() -> Iterator[np.ndarray]:
        for scene in scenes:
            views = [pictures.frames_of(scene, config, half, three_d=three_d) for three_d in (True, False)]
            for left, right in islice(zip(*views, strict=True), max(1, round(seconds * scene.fps))):
                yield np.concatenate([left, right], axis=1)

    path.parent.mkdir(parents=True, exist_ok=True)
    media.write_mp4(path, frames(), settings.config.canonical.fps, config.video)
    return path


def preview(options: argparse.Namespace) -> int:
    """Random clips of a data set as `<name>_preview.png` and `.mp4`."""
    settings = settings_of(options)
    if options.name not in settings.registry:
        raise ConfigError(f"no data set {options.name!r}; there are {', '.join(settings.registry)}")
    seed = settings.config.seed if options.seed is None else options.seed
    drawn = sample_of(settings.registry[options.name], settings, options.count, seed)
    scenes = _some(drawn, options.name, settings)
    folder = Path(options.output)
    picture = contact_sheet(scenes, settings, folder / f"{options.name}_preview.png")
    moving = film(scenes, settings, folder / f"{options.name}_preview.mp4", options.seconds)
    values = {"picture": str(picture), "film": str(moving), **_said(drawn)}
    text = f"{_summary(drawn)}\n{picture} ({size(picture.stat().st_size)})\n{moving} ({size(moving.stat().st_size)})"
    return answer(options, values, text)


def add(options: argparse.Namespace) -> int:
    """Try a user's own files, show them, then write the data set's YAML; what does not convert is never written."""
    settings = settings_of(options)
    target = settings.configs / "datasets" / f"{options.name}.yaml"
    if not NAME.fullmatch(options.name):
        raise ConfigError(f"data set {options.name!r}: expected lower-case letters, digits and _, beginning with a letter")
    if target.exists():
        raise ConfigError(f"{target} is there already; change it there, or choose another name")
    values = _described(options, settings)
    spec = load(SourceSpec, base={"name": options.name, **values})
    drawn = sample_of(spec, settings, options.count, settings.config.seed)
    scenes = _some(drawn, options.name, settings)
    _require_plausible(drawn, spec)
    picture = contact_sheet(scenes, settings, Path(options.output) / f"{options.name}_preview.png")
    text = f"{_summary(drawn)}\n{picture}: look at it: upright, left arm on the left, walking forward?"
    if options.dry_run:
        return answer(options, {"yaml": values, "picture": str(picture), **_said(drawn)}, f"{text}\n{_yaml(values)}nothing was written")
    publish_text(target, _yaml(values))
    load_registry(target.parent)
    done = f"{text}\n{target} is written; `stickgen build canonical/{options.name}` converts it"
    return answer(options, {"path": str(target), "yaml": values, "picture": str(picture), **_said(drawn)}, done)


def _described(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """The YAML's values from the command line; the joint map of a BVH is recognised by its joint names where none is named."""
    values: dict[str, Any] = {
        "title": options.title or options.name, "reader": options.reader, "axes": options.axes,
        "licence": {"name": options.licence, "share_derived": options.share_derived},
        "layout": ["*.bvh"] if options.reader == "bvh" else ["*.npy", "*.npz"],
    }  # fmt: skip
    if options.fps:
        values["fps"] = options.fps
    if options.unit_m:
        values["unit_m"] = options.unit_m
    if options.reader == "bvh":
        pairs = dict(pair.partition("=")[::2] for pair in (options.joint_map or "").split(",") if pair)
        if pairs:
            values["options"] = {"joint_map": pairs}
        else:
            values["skeleton"] = options.skeleton or _recognised(settings.places.raw_of(options.name))
    elif options.names:
        values["options"] = {"names": options.names.split(",")}
    return values


def _recognised(raw: Path) -> str:
    """The joint map whose names the first BVH file has most of."""
    from stickgen_core.sources.bvh_source import JOINT_MAPS, read_bvh
    from stickgen_core.sources.files import matching, walk

    files = matching(walk(raw), "*.bvh") if raw.is_dir() else []
    if not files:
        raise MissingInput(f"{raw}: no *.bvh there; put the files into it first")
    there = set(read_bvh(raw, files[0]).names)
    shares = {name: len(there & set(theirs.values())) / len(theirs) for name, theirs in JOINT_MAPS.items()}
    best = max(sorted(shares), key=lambda name: shares[name])
    if shares[best] < 0.9:
        joints = ", ".join(sorted(name for name in there if not name.endswith("_end")))
        raise ConfigError(f"{files[0]}: its joints are of no known skeleton; give --joint-map left_hip=…,… from: {joints}")
    note(f"skeleton: {best} ({shares[best]:.0%} of its joints are in {files[0]})")
    return best


def _require_plausible(drawn: Sample, spec: SourceSpec) -> None:
    """Refuse a sample that lies on its side, stands on its head, or is of no human size."""
    if 2 * drawn.upright < drawn.frames:
        other = "z_up" if spec.axes == "y_up" else "y_up"
        raise StickgenError(
            f"{spec.name}: feet are above the head in {1 - drawn.upright / drawn.frames:.0%} of the frames read; try --axes {other}"
        )
    heights = [np.median(clip.joints[clip.present][:, JOINT["head"], 1]) for clip in drawn.clips]
    head_m = float(np.median(heights))
    lowest = HEAD_M[0] if spec.unit_m is None else LYING_M
    if not lowest <= head_m <= HEAD_M[1]:
        unit_m = spec.unit_m or DEFAULT_UNIT_M[spec.reader]
        raise StickgenError(
            f"{spec.name}: the head is {head_m:.3g} m high on the median, expected {lowest} to {HEAD_M[1]};"
            f" --unit-m is metres per unit, now {unit_m:g}; {unit_m * STANDING_M / max(head_m, 1e-6):.3g} would put the head at {STANDING_M} m;"
            " if the size is right, Z may be up: --axes z_up"
        )


def _some(drawn: Sample, name: str, settings: Settings) -> list[Scene]:
    if not drawn.clips:
        reasons = "; ".join(list(drawn.quarantined.values())[:3]) or "every window is too short"
        raise StickgenError(f"{name}: none of {drawn.units} units gave a clip: {reasons}")
    return scenes_of(drawn.clips, settings)


def _said(drawn: Sample) -> dict[str, Any]:
    return {"units": drawn.units, "left_out": drawn.skipped, "clips": [clip.id for clip in drawn.clips], "quarantined": drawn.quarantined,
            "upright_share": round(drawn.upright / max(drawn.frames, 1), 4)}  # fmt: skip


def _summary(drawn: Sample) -> str:
    rows = [
        (clip.id, clip.frames, clip.actors, f"{clip.source_fps:g}", f"{clip.joints[clip.present][:, JOINT['head'], 1].max():.2f}",
         sum(text.kind == "caption" for text in clip.texts), "derived" if clip.joint_source.any() else "measured")
        for clip in drawn.clips
    ]  # fmt: skip
    lines = [table(("clip", "frames", "people", "source fps", "head m", "captions", "joints"), rows)]
    lines += [f"quarantined: {key}: {why}" for key, why in drawn.quarantined.items()]
    lines.append(f"{drawn.units} units, {drawn.skipped} files left out by a rule")
    return "\n".join(lines)


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
