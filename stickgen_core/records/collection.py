"""Collecting what nobody needs any more: mark from named roots, prove that it can be made again, and only then remove.

This module decides; it knows no asset and no store. What lies on the disk comes in as things, what can be made again as a
function that gives a proof, and out come decisions that can be printed before anything is touched.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stickgen_core.records.lineage import Name
from stickgen_core.records.retention import RetentionClass, kept

# What may go first when a class is over its quota.
CHEAPEST_FIRST: tuple[RetentionClass, ...] = ("discardable", "optional", "recommended")


@dataclass(frozen=True)
class Thing:
    """Something that could be removed.

    paths      files and folders that go together
    row        of the retention matrix
    roots      names of the roots that need it; empty: nobody does
    owners     artefacts that point at it; making any one of them again makes it again
    pins       names of the pins that hold it; with one it stays, whatever its class
    age_h      hours since it was last changed
    """

    name: str
    paths: tuple[Path, ...]
    row: str
    age_h: float
    roots: tuple[str, ...] = ()
    owners: tuple[Name, ...] = ()
    pins: tuple[str, ...] = ()

    @property
    def kind(self) -> RetentionClass:
        return kept(self.row).retention


@dataclass(frozen=True)
class Proof:
    """Whether something can be made again from what remains, and the steps of the argument."""

    holds: bool
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """What may be collected.

    classes       classes that may go although a root needs them, if they can be made again; neither critical nor pinned things may
    grace_h       younger things stay
    quota_bytes   class -> most bytes; the oldest go first where it is exceeded
    """

    grace_h: float
    classes: Collection[RetentionClass] = ()
    quota_bytes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What becomes of a thing, and why."""

    thing: Thing
    remove: bool
    because: str
    proof: Proof
    bytes: int


Prove = Callable[[Name], Proof]


def decide(things: Iterable[Thing], prove: Prove, policy: Policy) -> list[Decision]:
    """A decision for every thing; the bytes of those to be removed count a file once, and only if its last link goes."""
    things = list(things)
    over = _over_quota(things, policy)
    judged = [(thing, *_judge(thing, prove, policy, thing.name in over)) for thing in things]
    going = [path for thing, remove, _, _ in judged if remove for path in files_of(thing.paths)]
    counts = links(going)
    seen: set[tuple[int, int]] = set()
    return [
        Decision(thing, remove, because, proof, _freed(files_of(thing.paths), counts, seen) if remove else size_of(thing.paths))
        for thing, remove, because, proof in judged
    ]


def _judge(thing: Thing, prove: Prove, policy: Policy, over: bool) -> tuple[bool, str, Proof]:
    none = Proof(False, ())
    if thing.pins:
        return False, f"held by {_few(thing.pins)}", none
    if thing.roots and thing.kind == "critical":
        return False, f"critical, needed by {_few(thing.roots)}", none
    if thing.roots and thing.kind not in policy.classes and not over:
        return False, f"needed by {_few(thing.roots)}", none
    if thing.age_h < policy.grace_h:
        return False, f"changed {thing.age_h:.1f} h ago, the grace period is {policy.grace_h:g} h", none
    found = proven(thing, prove)
    if not found.holds:
        return False, "cannot be made again from what remains", found
    why = (
        "over its quota"
        if over
        else f"{thing.kind}, and can be made again"
        if thing.roots
        else "no root needs it, and it can be made again"
    )
    return True, why, found


def proven(thing: Thing, prove: Prove) -> Proof:
    """The first owner that can be made again; a thing that is its own reason (a cache, a leftover) needs none."""
    if not thing.owners:
        row = kept(thing.row)
        return Proof(bool(row.regenerated_from), (f"{row.artefact.lower()}: made again from {row.regenerated_from or 'nothing'}",))
    failed: list[str] = []
    for owner in thing.owners:
        found = prove(owner)
        if found.holds:
            return found
        failed += found.lines
    return Proof(False, tuple(failed))


def _over_quota(things: list[Thing], policy: Policy) -> set[str]:
    """Names of the oldest things of each class beyond its quota; what a pin holds counts, and stays."""
    over: set[str] = set()
    for kind in CHEAPEST_FIRST:
        if kind not in policy.quota_bytes:
            continue
        mine = sorted((t for t in things if t.kind == kind), key=lambda t: -t.age_h)
        held = sum(size_of(t.paths) for t in mine)
        for thing in (t for t in mine if not t.pins):
            if held <= policy.quota_bytes[kind]:
                break
            over.add(thing.name)
            held -= size_of(thing.paths)
    return over


def apply(decisions: Iterable[Decision]) -> int:
    """Remove what was decided on; returns the bytes that were freed. Killed midway, the next plan goes on."""
    freed = 0
    for decision in decisions:
        if not decision.remove:
            continue
        for path in decision.thing.paths:
            if path.is_dir() and not path.is_symlink():
                freed += _freed_now(path)
                # The manifest first: a half-removed artefact must not look like a whole one.
                (path / "manifest.json").unlink(missing_ok=True)
                shutil.rmtree(path)
            elif path.exists() or path.is_symlink():
                freed += _freed_now(path)
                path.unlink()
    return freed


def _freed_now(path: Path) -> int:
    counts = links(files_of([path]))
    return _freed(files_of([path]), counts, set())


def files_of(paths: Iterable[Path]) -> list[Path]:
    found = []
    for path in paths:
        found += (
            [p for p in sorted(path.rglob("*")) if p.is_file() and not p.is_symlink()] if path.is_dir() else [path] if path.exists() else []
        )
    return found


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of the files, an inode counted once."""
    return sum({(s.st_dev, s.st_ino): s.st_size for s in (p.stat() for p in files_of(paths))}.values())


def links(paths: Iterable[Path]) -> dict[tuple[int, int], int]:
    """How many of these paths are links to each inode."""
    counts: dict[tuple[int, int], int] = {}
    for path in paths:
        stat = path.stat()
        counts[stat.st_dev, stat.st_ino] = counts.get((stat.st_dev, stat.st_ino), 0) + 1
    return counts


def _freed(paths: Iterable[Path], counts: Mapping[tuple[int, int], int], seen: set[tuple[int, int]]) -> int:
    """Bytes of inodes all of whose links are among those that go; each counted once over all calls with one `seen`."""
    total = 0
    for path in paths:
        stat = path.stat()
        inode = stat.st_dev, stat.st_ino
        if inode not in seen and stat.st_nlink <= counts.get(inode, 0):
            seen.add(inode)
            total += stat.st_size
    return total


def by_class(decisions: Iterable[Decision]) -> dict[str, dict[str, int]]:
    """Class -> things, bytes, bytes that would go."""
    found: dict[str, dict[str, int]] = {}
    for decision in decisions:
        row = found.setdefault(decision.thing.kind, {"things": 0, "bytes": 0, "removed": 0, "freed": 0})
        row["things"] += 1
        row["bytes"] += size_of(decision.thing.paths)
        row["removed"] += decision.remove
        row["freed"] += decision.bytes if decision.remove else 0
    return found


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
