"""Lineage: from any artefact back to raw files, walked over what was published, never over a database."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from stickgen_core.errors import MissingInput
from stickgen_core.records.history import Entry

Name = tuple[str, str]


@dataclass(frozen=True)
class Missing:
    """A link that leads nowhere: an input that no record describes."""

    key: str
    digest: str
    needed_by: str


@dataclass(frozen=True)
class Walk:
    """An artefact with everything it was made from, inputs first."""

    root: Entry
    entries: tuple[Entry, ...]
    missing: tuple[Missing, ...]

    @property
    def whole(self) -> bool:
        return not self.missing

    def leaves(self) -> list[Entry]:
        """What was not made from anything here: inventories of raw files."""
        return [entry for entry in self.entries if not entry.inputs]


class Lineage:
    """All artefacts that are known, and which version of each is in place.

    entries   in time order; the last derivation of an artefact is the one that is shown
    current   asset key -> digest in place
    """

    def __init__(self, entries: Iterable[Entry], current: Mapping[str, str]):
        self.nodes: dict[Name, Entry] = {entry.name: entry for entry in entries}
        self.current = dict(current)

    def find(self, name: str) -> Entry:
        """`key`, `key@digest` or the last part of a key; without a digest the version in place."""
        key, _, digest = name.partition("@")
        keys = sorted({k for k, _ in self.nodes if key in (k, k.partition("/")[2])})
        if not keys:
            raise MissingInput(f"{key!r}: no artefact of that name was ever published here; `stickgen status` lists what there is")
        if len(keys) > 1 and key not in keys:
            raise MissingInput(f"{key!r} names {' and '.join(keys)}; say which")
        chosen = key if key in keys else keys[0]
        wanted = digest or self.current.get(chosen, "")
        found = [entry for (k, d), entry in self.nodes.items() if k == chosen and d.startswith(wanted)]
        if not found:
            raise MissingInput(f"{chosen}@{wanted[:12]}: no record of that version; known: {', '.join(self.versions(chosen))}")
        return found[-1]

    def versions(self, key: str) -> list[str]:
        return [digest[:12] for k, digest in self.nodes if k == key]

    def walk(self, root: Entry) -> Walk:
        """Everything the artefact was made from, in an order in which inputs come first."""
        done: dict[Name, Entry] = {}
        missing: list[Missing] = []
        stack: list[tuple[Entry, bool]] = [(root, False)]
        while stack:
            entry, ready = stack.pop()
            if entry.name in done:
                continue
            if ready:
                done[entry.name] = entry
                continue
            stack.append((entry, True))
            for key, digest in sorted(entry.inputs.items(), reverse=True):
                found = self.nodes.get((key, digest))
                if found is None:
                    missing.append(Missing(key, digest, entry.key))
                elif found.name not in done:
                    stack.append((found, False))
        return Walk(root, tuple(done.values()), tuple(dict.fromkeys(missing)))


def tree(walk: Walk, says: Callable[[Entry], str], folds: Callable[[Entry], bool] = lambda entry: False) -> str:
    """The walk for a terminal; what was shown above is not shown again, and what `folds` is only counted."""
    by_name = {entry.name: entry for entry in walk.entries}
    shown: set[Name] = set()
    lines: list[str] = []

    def draw(entry: Entry, first: str, rest: str) -> None:
        again = entry.name in shown and bool(entry.inputs)
        lines.append(f"{first}{entry.key}  {entry.digest[:12]}  {'(above)' if again else says(entry)}".rstrip())
        shown.add(entry.name)
        if again:
            return
        inputs = sorted(entry.inputs.items())
        known = [by_name[name] for name in inputs if name in by_name]
        folded = [child for child in known if folds(child)]
        rows: list[Entry | str] = [child for child in known if not folds(child)]
        rows += [f"{key}  {digest[:12]}  NO RECORD" for key, digest in inputs if (key, digest) not in by_name]
        if folded:
            rows.append(f"and {len(folded)} absent: {', '.join(child.key.partition('/')[2] for child in folded)}")
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            branch, stem = (f"{rest}└─ ", f"{rest}   ") if last else (f"{rest}├─ ", f"{rest}│  ")
            if isinstance(row, Entry):
                draw(row, branch, stem)
            else:
                lines.append(f"{branch}{row}")

    draw(walk.root, "", "")
    return "\n".join(lines)


def as_json(walk: Walk) -> dict[str, object]:
    """The walk for a program."""
    return {
        "artefact": walk.root.key,
        "digest": walk.root.digest,
        "entries": [
            {"key": e.key, "digest": e.digest, "kind": e.kind, "recipe": e.recipe, "inputs": dict(e.inputs), "counts": dict(e.manifest.counts),
             "configuration": e.configuration, "environment": e.environment, "made": dict(e.made)} for e in walk.entries
        ],
        "missing": [{"key": m.key, "digest": m.digest, "needed_by": m.needed_by} for m in walk.missing],
    }  # fmt: skip
