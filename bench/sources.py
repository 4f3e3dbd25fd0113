"""Reading raw data: frames, files and clips a second of one core, two workers against one, and memory that does not grow with the data."""

import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.measure import Measure
from stickgen_core.canonical import CanonicalConfig, convert
from stickgen_core.skeleton.body import JOINT_COUNT, PARENTS
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.bvh import parse_bvh
from stickgen_core.sources.bvh_source import JOINT_MAPS
from stickgen_core.sources.files import numbers_of
from stickgen_core.sources.ntu import Rules as NtuRules
from stickgen_core.sources.ntu import parse, people_of
from stickgen_core.sources.registry import Licence, SourceSpec
from stickgen_core.sources.smpl import joints_of_model, smpl_joints
from tests.factories import native
from tests.factories.known_motion import known_motion

HML = SourceSpec(
    name="humanml3d", title="bench", reader="humanml3d", fps=20, licence=Licence(name="bench"), layout=("new_joint_vecs/*.npy",)
)
OWN = SourceSpec(name="walks", title="bench", reader="joints", licence=Licence(name="bench"), layout=("*.npy",), fps=120)
BEAT = SourceSpec(name="beat", title="bench", reader="beat", skeleton="beat", licence=Licence(name="bench"), layout=("*.bvh",), unit_m=0.01)
# Average length of an NTU clip, and of a HumanML3D one.
NTU_FRAMES, HML_SECONDS = 85, 7.0
# HumanML3D's own number of motions, mirrors included.
HML_CLIPS = 29_228
MESH_VERTICES, MESH_JOINTS = 6890, 52


def run(quick: bool) -> list[Measure]:
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:
        root = Path(folder)
        return [
            *_bodies(quick),
            *_bvh(quick),
            *_ntu(root / "ntu", quick),
            *_humanml3d(root / "hml", quick),
            *_memory(root / "memory", quick),
            _large_file(root / "large", quick),
        ]


def _bodies(quick: bool) -> list[Measure]:
    """Joints without a mesh against `smplx` with one, on the same full-size model and poses."""
    import torch
    from smplx.lbs import lbs

    torch.set_num_threads(1)
    draw, frames = np.random.default_rng(0), 60 if quick else 300
    regressor = np.where(draw.random((MESH_JOINTS, MESH_VERTICES)) < 0.002, draw.random((MESH_JOINTS, MESH_VERTICES)), 0)
    regressor /= regressor.sum(1, keepdims=True)
    parents = np.array([-1, *PARENTS[1:], *[20] * (MESH_JOINTS - JOINT_COUNT)])
    values = {"v_template": draw.normal(size=(MESH_VERTICES, 3)), "shapedirs": draw.normal(0, 0.01, (MESH_VERTICES, 3, 10)),
              "J_regressor": regressor, "kintree_table": np.stack([parents, np.arange(MESH_JOINTS)])}  # fmt: skip
    betas, poses = draw.normal(size=10), draw.normal(0, 0.4, (frames, 3 * MESH_JOINTS))
    model = joints_of_model(values)
    ours = frames * 20 / _cpu(lambda: [smpl_joints(model, betas, poses, np.zeros((frames, 3))) for _ in range(20)])
    tensor = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items() if name != "kintree_table"}
    posedirs = torch.zeros(9 * (MESH_JOINTS - 1), 3 * MESH_VERTICES)
    weights = torch.full((MESH_VERTICES, MESH_JOINTS), 1 / MESH_JOINTS)
    arguments = (
        torch.as_tensor(betas, dtype=torch.float32)[None].expand(frames, -1), torch.as_tensor(poses, dtype=torch.float32), tensor["v_template"],
        tensor["shapedirs"], posedirs, tensor["J_regressor"], torch.as_tensor(parents), weights,
    )  # fmt: skip
    mesh = frames / _cpu(lambda: lbs(*arguments))
    return [
        Measure("smpl_joints", ours, "frames/s"),
        Measure("smpl_joints_over_mesh", ours / mesh, "x", f"smplx with its mesh: {mesh:.0f} frames/s", at_least=50),
    ]


def _bvh(quick: bool) -> list[Measure]:
    text = native.bvh_text(known_motion(60.0, 30.0 if quick else 120.0), JOINT_MAPS["cmu"])
    parse_bvh(text, "warm").positions()
    seconds, file = _cpu(lambda: parse_bvh(text, "bench").positions()), parse_bvh(text, "bench")
    return [Measure("bvh", len(file.values) * len(file.names) / seconds, "joint-frames/s", at_least=300_000)]


def _ntu(root: Path, quick: bool) -> list[Measure]:
    """Files of the average length with one person, read and made into people; the text is the bound, and its share is shown."""
    lines = native.write_ntu(root).read_text().splitlines()
    frames = [lines[start : start + 55] for start in range(1, 1 + 55 * NTU_FRAMES, 55)]
    text = "\n".join([str(NTU_FRAMES), *(line for frame in frames for line in ["1", *frame[28:]])]) + "\n"
    times, rules = 50 if quick else 300, NtuRules()
    people_of(parse(text, "warm"), rules)
    whole = _cpu(lambda: [people_of(parse(text, "bench"), rules) for _ in range(times)])
    numbers = _cpu(lambda: [numbers_of(text, "bench") for _ in range(times)])
    return [
        Measure("ntu", times / whole, "files/s", f"aim 400; {len(text) / 1e3:.0f} kB a file", at_least=250),
        Measure("ntu_text_share", numbers / whole, "of the time", "splitting and parsing numbers"),
    ]


def _humanml3d(root: Path, quick: bool) -> list[Measure]:
    """The whole chain from `.npy` and captions to a published corpus; then two workers against one by the wall clock, in turn."""
    folder = root / "humanml3d"
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    motion = known_motion(20.0, HML_SECONDS)
    vectors = native.humanml3d_vectors(motion.joints, native.yaw_of(motion))
    count = 300 if quick else HML_CLIPS  # starting a worker costs more than a quick set takes
    for number in range(count):
        np.save(folder / "new_joint_vecs" / f"{number:06d}.npy", vectors)
        (folder / "texts" / f"{number:06d}.txt").write_text("a person walks and sits.#a/DET#0.0#0.0\n" * 3)
    _convert(HML, folder, root / "warm", 1, limit=8)
    taken: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    for workers in (1,) * 3 if quick else (1, 2) * 2:
        start, used, below = time.perf_counter(), time.process_time(), _children_s()
        _convert(HML, folder, root / "out", workers)
        taken[workers].append((time.perf_counter() - start, time.process_time() - used, _children_s() - below))
        shutil.rmtree(root / "out")
    # The least of the runs: what else runs on the machine only ever adds.
    wall, own, others = ({workers: min(run[part] for run in runs) for workers, runs in taken.items() if runs} for part in range(3))
    found = [Measure("humanml3d_chain", count / own[1], "clips/s", "aim 700; reading, clips, hashing, publishing", at_least=400)]
    if not quick:
        spent = f"one: {wall[1]:.1f} s, two: {wall[2]:.1f} s; runs of each in turn, the faster ones"
        found.append(Measure("two_workers", wall[1] / wall[2], "x", spent, at_least=1.7))
        # What two idle cores would give: other work on the machine hardly moves processor seconds.
        spent = f"{own[1]:.1f} s against {own[2]:.1f} s here and {others[2]:.1f} s beside"
        found.append(Measure("two_workers_by_processor_time", own[1] / max(own[2], others[2]), "x", spent))
    return found


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _convert(spec: SourceSpec, raw: Path, out: Path, workers: int, limit: int | None = None) -> list[int]:
    corpus = convert(
        spec, raw, out / "corpus", shards=out / "shards", config=CanonicalConfig(), skeleton=SkeletonConfig(), workers=workers, limit=limit
    )
    return list(range(len(corpus)))


def _memory(root: Path, quick: bool) -> list[Measure]:
    """Peak of a process that converts a set of at least 5 GB (quick: 0.5 GB)."""
    folder = root / "walks"
    folder.mkdir(parents=True)
    joints = np.tile(known_motion(120.0).joints, (10, 1, 1))
    count = int((0.5e9 if quick else 5.1e9) / joints.nbytes) + 1
    for number in range(count):
        np.save(folder / f"take_{number:05d}.npy", joints)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(_peak_mb, (folder, root))
    return [Measure("peak_memory", peak, "MB", f"{count * joints.nbytes / 1e9:.1f} GB of raw data", at_most=1024)]


def _large_file(root: Path, quick: bool) -> Measure:
    """Peak of a process that reads ten minutes of BEAT in one file: 120 Hz, 75 joints, 228 channels (quick: one minute)."""
    folder = root / "beat"
    folder.mkdir(parents=True)
    text = native.bvh_text(known_motion(120.0), JOINT_MAPS["beat"], order="XYZ")
    head, rows = text.split("Frames:")[0], text.splitlines()[-960:]
    fingers = [
        f"JOINT Finger{n}\n{{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nEnd Site\n{{\nOFFSET 0 0 1\n}}\n}}"
        for n in range(53)
    ]
    place = head.rindex("}", 0, head.rindex("MOTION"))
    head = head[:place] + "\n".join(fingers) + "\n" + head[place:]
    times = 7 if quick else 75
    block = "\n".join(row + "\t12.345678" * (3 * len(fingers)) for row in rows) + "\n"
    with (folder / "1_wayne_1_1_1.bvh").open("w") as file:
        file.write(f"{head}Frames: {times * len(rows)}\nFrame Time: .0083333\n")
        for _ in range(times):
            file.write(block)
    size = (folder / "1_wayne_1_1_1.bvh").stat().st_size
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(_peak_mb, (folder, root, BEAT))
    return Measure("peak_memory_large_file", peak, "MB", f"one file of {size / 1e6:.0f} MB, {times * len(rows)} frames", at_most=1024)


def _peak_mb(folder: Path, root: Path, spec: SourceSpec = OWN) -> float:
    _convert(spec, folder, root, 1)
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Linux counts what the parent held before this program was loaded into ru_maxrss; VmHWM is this program's own.
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")) / 1024


def _cpu(work: Callable[[], object], repeats: int = 3) -> float:
    """The least processor seconds of a few runs: what else runs on the machine only ever adds."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)
