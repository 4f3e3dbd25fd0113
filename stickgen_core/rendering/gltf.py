"""glTF 2.0: the 3D joints of one person as a node tree with a rotation track a joint, in one text file with its data embedded."""

import base64
import json
from typing import Any

import numpy as np

from stickgen_core.rendering.scene import Scene
from stickgen_core.rendering.tree3d import JOINT_NAMES, PARENTS, animation_of

FLOAT = 5126


def gltf_text(scene: Scene, actor: int = 0) -> str:
    """Valid glTF JSON; quaternions are xyzw there, translations metres, time seconds."""
    animation = animation_of(scene, actor)
    buffer = bytearray()
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def add(values: np.ndarray, kind: str, bounds: bool = False) -> int:
        data = np.ascontiguousarray(values, dtype="<f4")
        views.append({"buffer": 0, "byteOffset": len(buffer), "byteLength": data.nbytes})
        buffer.extend(data.tobytes())
        accessor: dict[str, Any] = {"bufferView": len(views) - 1, "componentType": FLOAT, "count": len(data), "type": kind}
        if bounds:
            accessor |= {"min": [float(data.min())], "max": [float(data.max())]}
        accessors.append(accessor)
        return len(accessors) - 1

    times = add(np.arange(len(animation.root)) / animation.fps, "SCALAR", bounds=True)
    samplers = [{"input": times, "output": add(animation.root, "VEC3"), "interpolation": "LINEAR"}]
    channels: list[dict[str, Any]] = [{"sampler": 0, "target": {"node": 0, "path": "translation"}}]
    for joint in range(len(JOINT_NAMES)):
        track = animation.rotations[:, joint][:, [1, 2, 3, 0]]
        samplers.append({"input": times, "output": add(_continuous(track), "VEC4"), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": joint, "path": "rotation"}})
    nodes = []
    for joint, name in enumerate(JOINT_NAMES):
        start = animation.root[0] if joint == 0 else animation.offsets[joint]
        node: dict[str, Any] = {"name": name, "translation": [round(float(v), 6) for v in start]}
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        nodes.append(node | ({"children": children} if children else {}))
    value = {
        "asset": {"version": "2.0", "generator": "stickgen"},
        "scene": 0,
        "scenes": [{"nodes": [0], "name": scene.id}],
        "nodes": nodes,
        "animations": [{"name": scene.id, "samplers": samplers, "channels": channels}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(buffer), "uri": "data:application/octet-stream;base64," + base64.b64encode(buffer).decode()}],
    }
    return json.dumps(value, separators=(",", ":"))


def _continuous(track: np.ndarray) -> np.ndarray:
    """[T, 4]: signs chosen so that neighbours are on the same side, for players that interpolate component by component."""
    flips = np.where(np.sum(track[1:] * track[:-1], axis=1) < 0, -1.0, 1.0)
    return track * np.concatenate([[1.0], np.cumprod(flips)])[:, None]
