"""`.motion` files: one motion as minified, deterministic JSON; written, read and checked here (docs/motion-format.md)."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.rendering.config import RenderingConfig
from stickgen_core.rendering.moods import EXPRESSIONS, HANDS, MOUTHS, Mood
from stickgen_core.rendering.scene import Caption, Scene
from stickgen_core.skeleton import JOINT_COUNT, JOINT_NAMES, PARENTS, PHYSICS_NAMES, stick_layout

FORMAT, VERSION = "stickgen.motion", 1
RESERVED = ("format", "version", "id", "fps", "frames", "actors")
CAMERA_WIDTH = 3


def schema() -> dict[str, Any]:
    """The published JSON schema."""
    return json.loads(Path(__file__).with_name("motion.schema.json").read_text(encoding="utf-8"))


def document(scene: Scene, config: RenderingConfig | None = None) -> dict[str, Any]:
    """The JSON value of a scene: numbers rounded to the configured decimals (three: millimetres).

    Ten seconds stay under 200 kB: joints of two people are whole centimetres without physics, joints of more people are left out.
    """
    config = config or RenderingConfig()
    decimals, layout = config.motion_decimals, scene.layout
    joints = scene.joints if scene.actors <= config.joints_of_people else None
    skeleton: dict[str, Any] = {
        "layout": layout.name, "width": layout.width, "segments": [[s.name, s.start, s.end] for s in layout.segments],
    }  # fmt: skip
    if joints is not None:
        skeleton |= {"joints": list(JOINT_NAMES), "parents": list(PARENTS)}
    if joints is not None and scene.actors > 1:
        skeleton["joint_unit_m"] = _number(config.crowd_joint_unit_m)
    value: dict[str, Any] = {
        "meta": {
            **{k: v for k, v in sorted(scene.meta.items()) if k not in RESERVED}, "format": FORMAT, "version": VERSION, "id": scene.id,
            "fps": _number(scene.fps), "frames": scene.frames, "actors": scene.actors,
        },
        "skeleton": skeleton,
        "motion": _flat(scene.motion, decimals),
    }  # fmt: skip
    if not scene.present.all():
        value["present"] = scene.present.astype(int).ravel().tolist()
    if joints is not None:
        value["joints"] = _flat(joints, decimals) if scene.actors == 1 else _flat(joints / config.crowd_joint_unit_m, 0)
    if scene.physics is not None and not (joints is not None and scene.actors > 1):
        value["physics"] = _flat(scene.physics, decimals)
    if scene.camera is not None:
        value["camera"] = _flat(scene.camera, decimals)
    if scene.actions is not None:
        value["actions"] = scene.actions.astype(int).ravel().tolist()
    if scene.moods:
        value["face"] = [
            [{"start_s": _number(round(m.start_s, 3)), "expression": m.expression, "mouth": m.mouth, "hands": m.hands} for m in moods]
            for moods in scene.moods
        ]
    if scene.captions:
        value["captions"] = [
            {"text": c.text, "start_s": _number(round(c.start_s, 3)), "end_s": _number(round(c.end_s, 3))} for c in scene.captions
        ]
    return value


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _flat(values: np.ndarray, decimals: int) -> list[float | int]:
    rounded = np.round(np.asarray(values, dtype=np.float64), decimals).ravel() + 0.0
    return [int(v) if v == int(v) else v for v in rounded.tolist()]


def motion_text(scene: Scene, config: RenderingConfig | None = None) -> str:
    """The file's text: no blanks, keys in the schema's order, the same text for the same scene."""
    return json.dumps(document(scene, config), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_motion(path: Path, scene: Scene, config: RenderingConfig | None = None) -> int:
    """Publish the file; returns its bytes."""
    text = motion_text(scene, config)
    publish_text(path, text)
    return len(text.encode())


def read_motion(path: Path) -> Scene:
    """A checked scene; whatever is wrong is one line that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except FileNotFoundError:
        raise StickgenError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise StickgenError(f"{path}: not JSON: {str(error).splitlines()[0]}") from None
    return scene_of_document(value, str(path))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def scene_of_document(value: Any, where: str = "motion") -> Scene:
    """The scene of a parsed document, or the first problem as an error."""
    problem = first_problem(value)
    if problem:
        raise StickgenError(f"{where}: {problem}")
    meta = value["meta"]
    frames, actors = meta["frames"], meta["actors"]

    def array(name: str, *shape: int) -> np.ndarray | None:
        return np.array(value[name], dtype=np.float32).reshape(shape) if name in value else None

    motion = array("motion", frames, actors, value["skeleton"]["width"])
    assert motion is not None
    joints = None if "joints" not in value else np.array(value["joints"], dtype=np.float64).reshape(frames, actors, JOINT_COUNT, 3)
    present = np.array(value.get("present", [1] * (frames * actors)), dtype=bool).reshape(frames, actors)
    return Scene(
        meta["id"], float(meta["fps"]), motion, present,
        joints=None if joints is None else (joints * value["skeleton"].get("joint_unit_m", 1)).astype(np.float32),
        actions=np.array(value["actions"], np.int16).reshape(frames, actors) if "actions" in value else None,
        physics=array("physics", frames, actors, len(PHYSICS_NAMES)),
        camera=array("camera", frames, CAMERA_WIDTH),
        captions=tuple(Caption(c["text"], float(c["start_s"]), float(c["end_s"])) for c in value.get("captions", ())),
        moods=tuple(tuple(Mood(float(m["start_s"]), m["expression"], m["mouth"], m["hands"]) for m in moods) for moods in value.get("face", ())),
        meta={k: v for k, v in meta.items() if k not in RESERVED},
    )  # fmt: skip


def first_problem(value: Any) -> str | None:
    """None for a valid document, else one line: where, what was expected, what was found."""
    if not isinstance(value, Mapping):
        return f"expected an object with meta, skeleton and motion, found {type(value).__name__}"
    for name in ("meta", "skeleton", "motion"):
        if name not in value:
            return f"missing key {name!r}"
    unknown = sorted(set(value) - _known_keys())
    if unknown:
        return f"unknown key {unknown[0]!r}; valid are {', '.join(sorted(_known_keys()))}"
    return _meta_problem(value["meta"]) or _skeleton_problem(value["skeleton"]) or _length_problem(value) or _track_problem(value)


@lru_cache(maxsize=1)
def _known_keys() -> frozenset[str]:
    return frozenset(schema()["properties"])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _meta_problem(meta: Any) -> str | None:
    if not isinstance(meta, Mapping):
        return f"meta: expected an object, found {type(meta).__name__}"
    if (meta.get("format"), meta.get("version")) != (FORMAT, VERSION):
        return f"meta: expected format {FORMAT!r} version {VERSION}, found {meta.get('format')!r} version {meta.get('version')!r}"
    if not isinstance(meta.get("id"), str) or not meta["id"]:
        return f"meta.id: expected a name, found {meta.get('id')!r}"
    if not _is_number(meta.get("fps")) or meta["fps"] <= 0:
        return f"meta.fps: expected frames per second above 0, found {meta.get('fps')!r}"
    for name in ("frames", "actors"):
        if not _is_whole(meta.get(name)) or meta[name] < 1:
            return f"meta.{name}: expected a whole number of at least 1, found {meta.get(name)!r}"
    return None


def _skeleton_problem(skeleton: Any) -> str | None:
    if not isinstance(skeleton, Mapping):
        return f"skeleton: expected an object, found {type(skeleton).__name__}"
    if skeleton.get("layout") not in ("stick20", "stick48"):
        return f"skeleton.layout: expected stick20 or stick48, found {skeleton.get('layout')!r}"
    layout = stick_layout(skeleton["layout"])
    if skeleton.get("width") != layout.width:
        return f"skeleton.width: expected {layout.width} for {layout.name}, found {skeleton.get('width')!r}"
    if skeleton.get("segments") != [[s.name, s.start, s.end] for s in layout.segments]:
        return f"skeleton.segments: expected those of {layout.name} in their order"
    unit = skeleton.get("joint_unit_m", 1)
    if not _is_number(unit) or unit <= 0:
        return f"skeleton.joint_unit_m: expected metres above 0, found {unit!r}"
    return None


def _length_problem(value: Mapping[str, Any]) -> str | None:
    frames, actors = value["meta"]["frames"], value["meta"]["actors"]
    people = frames * actors
    lengths = {
        "motion": people * value["skeleton"]["width"], "present": people, "joints": people * JOINT_COUNT * 3,
        "physics": people * len(PHYSICS_NAMES), "camera": frames * CAMERA_WIDTH, "actions": people,
    }  # fmt: skip
    for name, length in lengths.items():
        if name not in value:
            continue
        values = value[name]
        if not isinstance(values, list) or len(values) != length:
            found = f"{len(values)} numbers" if isinstance(values, list) else type(values).__name__
            return f"{name}: expected a flat list of {length} numbers for {frames} frames and {actors} actors, found {found}"
        right = _is_number if name in ("motion", "joints", "physics", "camera") else _is_whole
        wrong = next((n for n, v in enumerate(values) if not right(v)), None)
        if wrong is not None:
            return f"{name}[{wrong}]: expected a number, found {values[wrong]!r}"
        if name == "present" and not set(values) <= {0, 1}:
            return "present: expected 0 or 1 only"
        if name == "actions" and not all(-1 <= v < 2**15 for v in values):
            return "actions: expected ids of at least -1"
    return None


def _track_problem(value: Mapping[str, Any]) -> str | None:
    for n, caption in enumerate(_list_of(value, "captions")):
        if not isinstance(caption, Mapping) or set(caption) != {"text", "start_s", "end_s"} or not isinstance(caption["text"], str):
            return f"captions[{n}]: expected text, start_s and end_s"
        if not _is_number(caption["start_s"]) or not _is_number(caption["end_s"]):
            return f"captions[{n}]: expected seconds, found {caption['start_s']!r} to {caption['end_s']!r}"
    tables = {"expression": EXPRESSIONS, "mouth": MOUTHS, "hands": HANDS}
    for actor, moods in enumerate(_list_of(value, "face")):
        for n, mood in enumerate(moods if isinstance(moods, list) else [None]):
            if not isinstance(mood, Mapping) or set(mood) != {"start_s", *tables} or not _is_number(mood["start_s"]) or mood["start_s"] < 0:
                return f"face[{actor}][{n}]: expected start_s, expression, mouth and hands"
            for key, table in tables.items():
                if not isinstance(mood[key], str) or mood[key] not in table:
                    return f"face[{actor}][{n}].{key}: expected one of {', '.join(table)}, found {mood[key]!r}"
    for name in ("captions", "face"):
        if name in value and not isinstance(value[name], list):
            return f"{name}: expected a list, found {type(value[name]).__name__}"
    return None


def _list_of(value: Mapping[str, Any], name: str) -> list[Any]:
    return value[name] if isinstance(value.get(name), list) else []
