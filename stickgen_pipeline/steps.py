"""A step: one artefact of the graph, with its inputs, its recipe and the function that makes it. No Dagster here.

Assets, `stickgen plan`, `stickgen status` and the worker process all read the same steps, so they cannot disagree.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import Manifest, find_manifest, read_manifest
from stickgen_core.records.publish import exclusively, publish_text, sweep
from stickgen_pipeline import gates

Progress = Callable[[str, int, int], None]
Watch = Callable[[Mapping[str, float]], None]

# A step returns this when it could not look at its input now and leaves the last artefact in place.
KEPT = object()


@dataclass(frozen=True)
class Verdict:
    """What a check found: the measured values stand beside their limits in `measured`."""

    passed: bool
    text: str
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A question asked of every published artefact. One that `stops` is an error that holds back everything downstream."""

    name: str
    asks: str
    test: Callable[[Manifest, Path, bool], Verdict]
    stops: bool = True


@dataclass(frozen=True)
class Work:
    """One execution of a step: where to publish, under which recipe and from which inputs.

    inputs     asset key -> digest, read from the manifests of the very bytes that are opened
    progress   (label, done, total)
    stopping   true once somebody asked for an end; a long computation then saves and returns
    watch      gets a long computation's figures as they come, for whoever looks on
    """

    key: str
    folder: Path
    recipe: str
    inputs: Mapping[str, str]
    progress: Progress
    stopping: Callable[[], bool] = lambda: False
    watch: Watch = lambda figures: None


@dataclass(frozen=True)
class Step:
    """One node of the graph.

    version    digest of the code version and configuration that decide the content
    observe    for what is not made but found (raw files): a cheap signature that joins the recipe
    kept       row of the retention matrix
    apart      runs in the worker process (whatever imports torch)
    automatic  rebuilt by itself when an input's content changes; training never is
    by_default part of a build that names nothing, or names it by what it needs; otherwise it has to be asked for
    show       tables and plots for a person, as Markdown by title
    """

    key: str
    group: str
    description: str
    folder: Path
    version: str
    make: Callable[[Work], object]
    kept: str
    parents: tuple[str, ...] = ()
    observe: Callable[[], str] | None = None
    checks: tuple[Check, ...] = ()
    show: Callable[[Manifest, Path], Mapping[str, str]] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()
    pool: str | None = None
    apart: bool = False
    automatic: bool = True
    by_default: bool = True

    def recipe(self) -> str:
        return self.version if self.observe is None else digest_json([self.version, self.observe()])


Steps = Mapping[str, Step]


@dataclass(frozen=True)
class Outcome:
    """What performing a step gave; `refused` is what a gate held back, then `manifest` is the last good artefact if there is one."""

    manifest: Manifest
    reused: bool
    seconds: float
    peak_mb: float
    verdicts: tuple[tuple[Check, Verdict], ...] = ()
    refused: Manifest | None = None

    @property
    def blocked_by(self) -> list[str]:
        return [f"{check.name}: {verdict.text}" for check, verdict in self.verdicts if check.stops and not verdict.passed]

    @property
    def warnings(self) -> list[str]:
        return [f"{check.name}: {verdict.text}" for check, verdict in self.verdicts if not check.stops and not verdict.passed]


class Worker(Protocol):
    """Runs a step's `make` in another process; gives the peak memory of that process in MB."""

    def run(self, step: Step, work: Work) -> float: ...


def inputs_of(step: Step, steps: Steps) -> dict[str, str]:
    """Digest of every input as its manifest has it now."""
    return {parent: read_manifest(steps[parent].folder).digest for parent in step.parents}


@dataclass(frozen=True)
class Receipt:
    """What the graph asked for when it last published a step: enough to know that asking again would give the same."""

    recipe: str
    inputs: Mapping[str, str]
    digest: str

    @classmethod
    def find(cls, step: Step, state: Path) -> "Receipt | None":
        """The receipt if it speaks of the artefact that is there; a manifest that names recipe and inputs itself will do as well."""
        manifest = find_manifest(step.folder)
        if manifest is None:
            return None
        try:
            receipt = cls(**json.loads((place_of(step, state) / "receipt.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls(manifest.recipe, dict(manifest.parents), manifest.digest)
        return receipt if receipt.digest == manifest.digest else cls(manifest.recipe, dict(manifest.parents), manifest.digest)

    def write(self, step: Step, state: Path) -> None:
        values = {"recipe": self.recipe, "inputs": dict(self.inputs), "digest": self.digest}
        publish_text(place_of(step, state) / "receipt.json", json.dumps(values, indent=1, sort_keys=True) + "\n")


def place_of(step: Step, state: Path) -> Path:
    """The folder of one step's lock, receipt and kept artefacts."""
    return state / step.key.replace("/", ".")


Witness = Callable[[Step, Manifest, "Receipt", Mapping[str, Any]], None]


def perform(
    step: Step, steps: Steps, state: Path, progress: Progress, worker: Worker | None = None, witness: Witness | None = None,
    watch: Watch = lambda figures: None,
) -> Outcome:  # fmt: skip
    """Make the artefact, or keep the one that the same recipe already made from the same inputs.

    state     folder of receipts, locks and what was set aside; losing it costs a second look by each stage, never an artefact
    witness   is told of every artefact that passed its gates
    watch     gets a long computation's figures as they come
    """
    started, place = time.monotonic(), place_of(step, state)
    with exclusively(place / "lock"):
        gates.recover(step.folder, place)
        recipe, inputs = step.recipe(), inputs_of(step, steps)
        receipt = Receipt.find(step, state)
        reused = receipt is not None and receipt.recipe == recipe and receipt.inputs == inputs
        standing = _verdicts(step, _published(step), fresh=False) if reused else ()
        reused = reused and not any(check.stops and not verdict.passed for check, verdict in standing)
        unproven, peak, kept = gates.unproven(step.folder, place), 0.0, False
        if not reused:
            step.folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(step.folder.parent)
            gates.set_aside(step.folder, place)
            work = Work(step.key, step.folder, recipe, inputs, progress, watch=watch)
            if step.apart and worker is not None:
                peak = worker.run(step, work)
            else:
                kept = step.make(work) is KEPT
        manifest, peak = _published(step), max(peak, peak_memory_mb())
        fresh = not reused or unproven
        verdicts = _verdicts(step, manifest, fresh) if fresh else standing
        outcome = Outcome(manifest, reused, time.monotonic() - started, peak, verdicts)
        if outcome.blocked_by and fresh and not kept:
            good = gates.refuse(step.folder, place, outcome.blocked_by, recipe=recipe, inputs=inputs, digest=manifest.digest)
            return replace(outcome, manifest=_published(step) if good else manifest, refused=manifest)
        if fresh and not kept:
            receipt = Receipt(recipe, inputs, manifest.digest)
            receipt.write(step, state)
        gates.passed(place)
        if witness is not None and receipt is not None and not kept:
            witness(step, manifest, receipt, {"seconds": round(outcome.seconds, 2), "peak_mb": round(peak)} if not reused else {})
    return outcome


def _verdicts(step: Step, manifest: Manifest, fresh: bool) -> tuple[tuple[Check, Verdict], ...]:
    """A new artefact is read back whole; one that stands is looked at, and made again if it lost something."""
    return tuple((check, check.test(manifest, step.folder, fresh)) for check in step.checks)


def _published(step: Step) -> Manifest:
    try:
        return read_manifest(step.folder)
    except MissingInput:
        raise StickgenError(f"{step.key}: nothing was published in {step.folder}; the step ended before its manifest") from None


def peak_memory_mb() -> float:
    """High-water mark of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def in_order(steps: Steps) -> list[Step]:
    """Every step after its inputs; ties by the order in which they were declared."""
    ordered: dict[str, Step] = {}

    def visit(step: Step, above: tuple[str, ...]) -> None:
        if step.key in above:
            raise StickgenError(f"the graph has a circle: {' -> '.join((*above, step.key))}")
        for parent in step.parents:
            visit(steps[parent], (*above, step.key))
        ordered.setdefault(step.key, step)

    for step in steps.values():
        visit(step, ())
    return list(ordered.values())


def bytes_of(folder: Path) -> int:
    """Size of an artefact's own files; shared shards are counted by their pool, not here."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


class Costs:
    """What each step took when it was last made here: the estimates of `plan` and of the progress bar."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, float]:
        try:
            found = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(key): float(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def add(self, key: str, seconds: float) -> None:
        publish_text(self.path, json.dumps({**self.read(), key: round(seconds, 2)}, indent=1, sort_keys=True) + "\n")


def _names(bare: str, step: Step) -> bool:
    bare = bare.removeprefix("key:")
    if bare.startswith("group:"):
        return step.group == bare.removeprefix("group:")
    return bare in (step.key, step.group, step.key.partition("/")[2]) or fnmatchcase(step.key, bare)


def chosen(steps: Steps, wanted: Iterable[str]) -> list[Step]:
    """Steps named by key, group, glob or last part; `+x` adds everything x needs, `x+` everything that needs x."""
    ordered, keys = in_order(steps), set()
    for pattern in wanted:
        bare = pattern.strip("+")
        hits = {step.key for step in ordered if _names(bare, step)}
        if not hits:
            raise StickgenError(
                f"{pattern!r} names no step; steps: {', '.join(sorted(steps))}; groups: {', '.join(sorted({s.group for s in ordered}))}"
            )
        if pattern.startswith("+"):
            hits |= upstream(steps, hits)
        if pattern.endswith("+"):
            hits |= {key for key in downstream(steps, hits) if steps[key].by_default}
        keys |= hits
    return [step for step in ordered if (step.key in keys if wanted else step.by_default)]


def upstream(steps: Steps, keys: Iterable[str]) -> set[str]:
    found: set[str] = set()
    queue = list(keys)
    while queue:
        for parent in steps[queue.pop()].parents:
            if parent not in found:
                found.add(parent)
                queue.append(parent)
    return found


def downstream(steps: Steps, keys: Iterable[str]) -> set[str]:
    reached = set(keys)
    for step in in_order(steps):
        if reached.intersection(step.parents):
            reached.add(step.key)
    return reached - set(keys)
