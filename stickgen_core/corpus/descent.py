"""Which artefacts were made, directly or through others, from certain digests: read from the manifests below some folders.

A manifest names its parents by asset key and digest. Where it names a key of which no such digest is known (its parent has been rebuilt
since), nothing can be proved, and the artefact is told apart as one that may be descended.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stickgen_core.errors import Corrupt
from stickgen_core.records.folders import entries_below
from stickgen_core.records.manifest import MANIFEST_NAME
from stickgen_core.records.publish import publish_text

MARK_NAME = "withdrawn.json"


@dataclass(frozen=True)
class Known:
    """One artefact on the disk: `path` is its folder, or the file that a manifest stands beside."""

    path: Path
    name: str
    kind: str
    digest: str
    parents: Mapping[str, str]


def artefacts_below(roots: Iterable[Path]) -> list[Known]:
    """Every artefact below the roots that has a manifest, each once, in path order."""
    return [known_of(path) for path in manifests_below(roots)]


def manifests_below(roots: Iterable[Path]) -> list[Path]:
    return sorted({path.resolve() for root in roots for path in entries_below(root) if _is_manifest(path)})


def _is_manifest(path: Path) -> bool:
    return path.name == MANIFEST_NAME or path.name.endswith(f".{MANIFEST_NAME}")


def known_of(path: Path) -> Known:
    """The artefact that a manifest speaks of."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        owner = path.parent if path.name == MANIFEST_NAME else path.with_name(path.name.removesuffix(f".{MANIFEST_NAME}"))
        return Known(owner, values["name"], values["kind"], values["digest"], dict(values.get("parents") or {}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{path}: not a manifest ({error}); remove it or build it again first") from None


def descendants(known: Iterable[Known], digests: Collection[str], names: Collection[str]) -> tuple[list[Known], list[Known]]:
    """(certain, possible): those whose ancestry leads to one of `digests`, and those that lead to another version of one of `names`.

    The artefacts that hold the digests themselves are not among them.
    """
    listed = list(known)
    there = {one.digest for one in listed} | set(digests)
    certain, possible = set(digests), set()
    grown = True
    while grown:
        grown = False
        for one in listed:
            if one.digest in certain:
                continue
            parents = set(one.parents.values())
            if parents & certain:
                certain.add(one.digest)
                possible.discard(one.digest)
                grown = True
            elif one.digest not in possible and (
                parents & possible or any(name in names and digest not in there for name, digest in one.parents.items())
            ):
                possible.add(one.digest)
                grown = True
    return (
        [one for one in listed if one.digest in certain and one.digest not in digests],
        [one for one in listed if one.digest in possible],
    )


def mark_path(artefact: Path) -> Path:
    """`<folder>/withdrawn.json`, or `<file>.withdrawn.json` beside a single file."""
    return artefact / MARK_NAME if artefact.is_dir() else artefact.with_name(f"{artefact.name}.{MARK_NAME}")


def mark(one: Known, source: str, reason: str, at: str, certain: bool) -> None:
    """Say beside an artefact that it was made from a source that has been withdrawn since; holds for this digest of it."""
    marks = {row["source"]: row for row in marks_of(one.path, one.digest)}
    marks[source] = {"source": source, "reason": reason, "at": at, "certain": certain, "digest": one.digest}
    publish_text(
        mark_path(one.path), json.dumps([marks[name] for name in sorted(marks)], indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )


def marks_of(artefact: Path, digest: str) -> list[dict[str, Any]]:
    """Withdrawn sources that this version of an artefact was made from; an artefact made anew carries no mark."""
    try:
        rows = json.loads(mark_path(artefact).read_text(encoding="utf-8"))
        return [row for row in rows if row["digest"] == digest]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{mark_path(artefact)}: not a mark of withdrawal ({error})") from None
