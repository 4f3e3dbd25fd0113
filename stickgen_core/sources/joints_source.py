"""Your own world joints: `.npy` [T, J, 3] or [T, A, J, 3], or `.npz` with `joints` and optionally `fps`, `names`, `text`.

Names come from the file, else from `options.names`, else the 22 canonical joints are meant; the YAML gives axes, unit and rate.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.errors import BadRecording
from stickgen_core.skeleton.body import JOINT_NAMES
from stickgen_core.sources.actions import labels_for
from stickgen_core.sources.assemble import assemble
from stickgen_core.sources.files import Npz, load_npy, matching, rate_hz, read_text, walk
from stickgen_core.sources.reader import Discovery, Unit
from stickgen_core.sources.recording import Recording, Text
from stickgen_core.sources.registry import SourceSpec
from stickgen_core.sources.templates import labelled


class JointsReader:
    version = 1

    def __init__(self, spec: SourceSpec):
        self.spec = spec
        self.names = tuple(spec.options.get("names", JOINT_NAMES))
        self.unit_m = 1.0 if spec.unit_m is None else spec.unit_m
        self.labels = labels_for(spec.name)

    def fingerprint(self, raw: Path) -> str:
        return self.labels.digest()

    def discover(self, raw: Path) -> Discovery:
        paths = list(walk(raw))
        texts = {file.rsplit(".", 1)[0]: file for file in matching(paths, "*.txt")}
        units = []
        for file in matching(paths, "*.npy", "*.npz"):
            key = file.rsplit(".", 1)[0]
            units.append(Unit(key, (file, texts[key]) if key in texts else (file,)))
        return Discovery(tuple(units))

    def read(self, raw: Path, unit: Unit) -> Iterator[Recording]:
        file, names, fps = unit.files[0], self.names, self.spec.fps
        captions: list[str] = []
        if file.lower().endswith(".npz"):
            archive = Npz(raw, file)
            values = archive.get("joints")
            if "names" in archive:
                names = tuple(str(name) for name in archive.get("names").reshape(-1))
            fps = archive.number("fps") if "fps" in archive else fps
            captions += [text for text in [archive.string("text", "")] if text]
        else:
            values = load_npy(raw, file)
        if fps is None:
            raise BadRecording("bad_rate", f"{file}: no rate; give `fps` in the YAML or in the .npz")
        fps = rate_hz(file, float(fps))
        values = values[:, None] if values.ndim == 3 else values
        if values.ndim != 4 or values.dtype.kind not in "fi" or values.shape[2:] != (len(names), 3) or not values.size:
            raise BadRecording("wrong_shape", f"{file}: expected [T,{len(names)},3] or [T,A,{len(names)},3], found {list(values.shape)}")
        values = np.asarray(values, np.float64) * self.unit_m
        joints, source = assemble({name: values[:, :, index] for index, name in enumerate(names)})
        present = np.isfinite(joints).all(axis=(2, 3)) & (np.abs(joints).sum(axis=(2, 3)) > 0)
        if not np.isfinite(values[:, 0]).all():
            raise BadRecording("non_finite", f"{file}: joints hold NaN or infinity")
        if len(unit.files) > 1:
            captions += [line.strip() for line in read_text(raw, unit.files[1]).splitlines() if line.strip()]
        duration = len(joints) / fps
        labels, texts, extra = labelled(self.labels, [unit.key.rsplit("/", 1)[-1]], duration)
        yield Recording(
            key=unit.key, origin=self.spec.origin_of(key=unit.key), file=file, fps=fps, joints=np.where(np.isfinite(joints), joints, 0.0),
            present=present, people=tuple(str(actor) for actor in range(joints.shape[1])), joint_source=source, labels=labels,
            texts=(*(Text(text, 0.0, duration, "caption") for text in captions), *texts), extra=extra,
        )  # fmt: skip
