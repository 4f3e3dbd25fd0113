"""A hundred and fifty kills of builds, trainings and collections at random moments: nothing torn, and at the end the same digests.

Each victim is forked from a process that has everything imported, so that the kill lands in the work and not in the imports.
"""

import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable

import pytest

from stickgen_core.corpus.upkeep import corpora_below
from stickgen_core.records.collection import Policy, apply
from stickgen_core.records.digests import digest_file
from stickgen_core.records.history import History
from stickgen_core.records.manifest import read_manifest
from stickgen_core.records.pins import pins
from stickgen_pipeline.collecting import damaged, plan
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.resources import state_of
from stickgen_pipeline.steps import perform
from stickgen_pipeline.witness import witness_of
from tests.factories.roots import CLIPS, Root, quiet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
SEED = int(os.environ.get("STICKGEN_STORM_SEED", "20"))
KILLS = int(os.environ.get("STICKGEN_STORM_KILLS", "150"))
GENERATIONS = ("datasets.synthetic.options.seed=1", "datasets.synthetic.options.seed=2", "curation.sft.min_quality=0.7")
TRAINED = ("corpus/motion_statistics", "checkpoint/small_pretrain", "checkpoint/small_sft")


def train(root: Root, generation: str) -> None:
    import torch

    torch.set_num_threads(1)
    settings = root.settings(generation)
    steps = steps_of(settings)
    for key in TRAINED:
        perform(steps[key], steps, state_of(settings), quiet, witness=witness_of(settings))


def collect(root: Root, generation: str) -> None:
    apply(plan(root.settings(generation), Policy(0.0, ("discardable", "optional"))))


def victim(action: Callable[[], object]) -> int:
    """A process that does it and ends with 0, or with 3 if it was refused or failed."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    try:
        action()
    except BaseException:
        traceback.print_exc()
        os._exit(3)
    os._exit(0)


def whole(action: Callable[[], object]) -> float:
    started = time.monotonic()
    _, status = os.waitpid(victim(action), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - started


def torn(root: Root) -> list[str]:
    """Published things that are not whole: manifests, their files, shards that an index names, history and pins that do not read."""
    found = []
    for path in root.folder.rglob("manifest.json"):
        manifest = read_manifest(path.parent)
        found += [f"{path.parent / name}" for name, record in manifest.files.items()
                  if not (path.parent / name).exists() or digest_file(path.parent / name) != record.sha256]  # fmt: skip
    for corpus in corpora_below(root.folder):
        shards = {*corpus.index["shard"].to_pylist(), *corpus.index["text_shard"].to_pylist()}
        found += [shard for shard in shards if not (root.folder / "shards" / f"{shard}.arrow").exists()]
    assert History(root.folder / "lineage").entries and pins(root.folder / "pins") == []
    return found


def test_a_hundred_and_fifty_kills_tear_nothing(pristine, tmp_path):
    draw = random.Random(SEED)
    calm, shaken = (Root(tmp_path / name / "data", pristine.raw) for name in ("calm", "shaken"))
    for root in (calm, shaken):
        shutil.copytree(pristine.folder, root.folder)
    actions = {"build": lambda root, g: root.build(g), "train": train, "gc": collect}
    # The first times include what a fresh process does once; the longest of them bounds where a kill may land.
    longest = {name: whole(lambda act=act: act(calm, GENERATIONS[1])) for name, act in actions.items()}
    fate: Counter[str] = Counter()
    for number in range(KILLS):
        name = draw.choices(("build", "train", "gc"), (4, 3, 2))[0]
        generation, wait_s = draw.choice(GENERATIONS), draw.uniform(0, longest[name])
        pid = victim(lambda act=actions[name], g=generation: act(shaken, g))
        end = time.monotonic() + wait_s
        while time.monotonic() < end and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        fate[f"{name} {'killed' if os.waitstatus_to_exitcode(status) == -signal.SIGKILL else 'had ended'}"] += 1
        assert torn(shaken) == [], f"seed {SEED}, kill {number}: {name} after {wait_s:.3f} s"
    print(
        f"\nseed {SEED}, {KILLS} kills: {dict(sorted(fate.items()))}, {CLIPS} clips, longest { ({k: round(v, 1) for k, v in longest.items()}) } s"
    )
    for root in (calm, shaken):
        whole(lambda root=root: root.build(GENERATIONS[2]))
        whole(lambda root=root: train(root, GENERATIONS[2]))
        whole(lambda root=root: collect(root, GENERATIONS[2]))
        whole(lambda root=root: root.build(GENERATIONS[2]))
        whole(lambda root=root: train(root, GENERATIONS[2]))
    same = {step.key: tuple(read_manifest(steps_of(root.settings())[step.key].folder).digest for root in (calm, shaken))
            for step in steps_of(calm.settings()).values() if (step.folder / "manifest.json").exists()}  # fmt: skip
    assert len(same) > 20 and all(a == b for a, b in same.values()), f"seed {SEED}: {[k for k, (a, b) in same.items() if a != b]}"
    assert damaged(shaken.settings()) == []
    assert sum(n for what, n in fate.items() if what.endswith("killed")) > KILLS / 2, f"most victims had ended before: {fate}"
