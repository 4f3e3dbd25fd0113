"""The history: a small file for every artefact ever published, so that a rebuilt folder or a lost database forgets nothing.

Below one folder, `<key>/<digest>-<derivation>.json` for each artefact and derivation, beside them the configurations and
environments that they name by digest. Nothing here is ever changed; the same artefact published twice is one file.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_entries, digest_json
from stickgen_core.records.manifest import FileRecord, Manifest
from stickgen_core.records.publish import publish_text

CONFIGURATIONS, ENVIRONMENTS, FILES = ".configurations", ".environments", ".files"
SHORT = 16


@dataclass(frozen=True)
class Entry:
    """One artefact as it was published.

    recipe         of the graph (the manifest's own recipe is the room's)
    inputs         asset key -> digest of what was read
    configuration  digest of the resolved configuration, "" where nobody said
    environment    digest of what it was made with
    belongs        bytes elsewhere that only this artefact's kind points to: names of shards
    made           when, how long, how much memory; not part of the identity
    """

    key: str
    digest: str
    kind: str
    recipe: str
    inputs: Mapping[str, str]
    manifest: Manifest
    configuration: str = ""
    environment: str = ""
    belongs: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> tuple[str, str]:
        return self.key, self.digest

    @property
    def derivation(self) -> str:
        """Digest of how it was made: two recipes may give one artefact."""
        return derivation(self.recipe, self.inputs)


def derivation(recipe: str, inputs: Mapping[str, str]) -> str:
    return digest_json([recipe, dict(inputs)])


def entry_of(manifest: Manifest, recipe: str | None = None, inputs: Mapping[str, str] | None = None) -> Entry:
    """The entry that a manifest alone gives."""
    made = {name: manifest.made[name] for name in ("at",) if name in manifest.made}
    return Entry(
        manifest.name,
        manifest.digest,
        manifest.kind,
        recipe or manifest.recipe,
        dict(manifest.parents if inputs is None else inputs),
        manifest,
        made=made,
    )


class History:
    """Entries of one data root."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, entry: Entry, configuration: Mapping[str, Any] | None = None, environment: Mapping[str, Any] | None = None) -> Entry:
        """Record an artefact; what is known of it already stays as it was first written."""
        stored = Entry(**{**_shallow(entry), "configuration": self._put(CONFIGURATIONS, configuration) or entry.configuration,
                          "environment": self._put(ENVIRONMENTS, environment) or entry.environment})  # fmt: skip
        path = self._path(stored.key, stored.digest, stored.derivation)
        if not path.exists():
            publish_text(path, json.dumps(asdict(stored), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
            self.__dict__.pop("entries", None)
        return stored

    def has(self, key: str, digest: str, recipe: str, inputs: Mapping[str, str]) -> bool:
        """Whether this derivation was recorded."""
        return self._path(key, digest, derivation(recipe, inputs)).exists()

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, oldest first."""
        found = [_read(path) for path in sorted(self.folder.glob("[!.]*/*.json"))]
        return tuple(sorted(found, key=lambda entry: (str(entry.made.get("at", "")), entry.key)))

    def of(self, key: str, digest: str | None = None) -> list[Entry]:
        """Derivations of an artefact (of every version of it without a digest), the latest first."""
        return [e for e in reversed(self.entries) if e.key == key and (digest is None or e.digest.startswith(digest))]

    def configuration(self, digest: str) -> dict[str, Any] | None:
        return self._get(CONFIGURATIONS, digest)

    def environment(self, digest: str) -> dict[str, Any] | None:
        return self._get(ENVIRONMENTS, digest)

    def add_files(self, digest: str, files: Mapping[str, str]) -> bool:
        """Keep the names and hashes behind an inventory's digest; false if they do not give that digest."""
        if inventory_digest(files) != digest:
            return False
        path = self.folder / FILES / f"{digest}.json"
        if not path.exists():
            publish_text(path, json.dumps(dict(files), indent=0, sort_keys=True, ensure_ascii=False) + "\n")
        return True

    def files(self, digest: str) -> dict[str, str] | None:
        """Raw file -> SHA-256 of an inventory, None where the list was not kept."""
        path = self.folder / FILES / f"{digest}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _path(self, key: str, digest: str, derived: str) -> Path:
        return self.folder / key.replace("/", ".") / f"{digest[:SHORT]}-{derived[:SHORT]}.json"

    def _put(self, kind: str, values: Mapping[str, Any] | None) -> str:
        if values is None:
            return ""
        digest = digest_json(values)
        path = self.folder / kind / f"{digest}.json"
        if not path.exists():
            publish_text(path, json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
        return digest

    def _get(self, kind: str, digest: str) -> dict[str, Any] | None:
        path = self.folder / kind / f"{digest}.json"
        if not digest or not path.exists():
            return None
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if digest_json(values) != digest:
            raise Corrupt(f"{path}: its content is not what its name says; remove it, the next build writes it again")
        return values


def inventory_digest(files: Mapping[str, str]) -> str:
    """The digest that an inventory of exactly these files has."""
    return digest_entries("inventory.v1", files.items())


def _shallow(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}


def _read(path: Path) -> Entry:
    try:
        return entry_from(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise MissingInput(f"{path}: went away while it was read; run again") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"{path}: not an entry of the history ({error}); remove it, a rebuild writes it again") from None


def entry_from(values: Mapping[str, Any]) -> Entry:
    """An entry of its JSON values."""
    manifest = dict(values["manifest"])
    files = {name: FileRecord(**record) for name, record in manifest.pop("files").items()}
    return Entry(**{**values, "belongs": tuple(values["belongs"]), "manifest": Manifest(files=files, **manifest)})


def known(entries: Iterable[Entry]) -> dict[tuple[str, str], Entry]:
    """Artefact -> its latest derivation."""
    return {entry.name: entry for entry in entries}
