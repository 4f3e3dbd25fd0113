"""The manifest: what an artefact is, what it was made from, and by which recipe. Written last, so it vouches for the rest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_json
from stickgen_core.records.publish import publish_text

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"


class OtherSchema(Corrupt):
    """A whole artefact written by another version of this program."""


@dataclass(frozen=True)
class FileRecord:
    """One file that belongs to an artefact, by its path below the artefact's folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """An artefact's identity (`digest`), its recipe and its parents; `made` alone may differ between equal artefacts.

    name      "canonical/amass", "checkpoint/small_sft": the asset key
    kind      corpus | text_vectors | checkpoint | report | inventory | ...
    digest    content digest; the Dagster data version
    recipe    digest of the code version and configuration that made it
    parents   asset key -> digest of what was read
    counts    rows, frames and the like, for people and for counts-add-up checks
    files     path below the folder -> size and SHA-256 (immutable shards may be listed by the corpus index instead)
    notes     results that belong to the content: statistics, warnings, verdicts
    made      when, where, how long, with what: never part of the identity
    """

    name: str
    kind: str
    digest: str
    recipe: str
    parents: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int | float] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def is_current(self, recipe: str, parents: Mapping[str, str]) -> bool:
        """True if asking again with this recipe and these inputs would give this very artefact."""
        return self.recipe == recipe and dict(self.parents) == dict(parents)


def manifest_path(artefact: Path) -> Path:
    """`<folder>/manifest.json` for a folder, `<file>.manifest.json` beside a single file."""
    return artefact / MANIFEST_NAME if not artefact.suffix or artefact.is_dir() else artefact.with_name(artefact.name + ".manifest.json")


def manifest_text(manifest: Manifest, seal: bool = False) -> str:
    """The manifest's file; with `seal` a digest of all the rest stands in it, so that a flipped bit is found."""
    values = asdict(manifest)
    values |= {"seal": digest_json(values)} if seal else {}
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_manifest(artefact: Path, manifest: Manifest, seal: bool = False) -> None:
    publish_text(manifest_path(artefact), manifest_text(manifest, seal))


def read_manifest(artefact: Path) -> Manifest:
    """The manifest of an artefact, or MissingInput / Corrupt in one line."""
    path = manifest_path(artefact)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        files = {name: FileRecord(**record) for name, record in values.pop("files").items()}
        values.pop("seal", None)
        manifest = Manifest(files=files, **values)
    except FileNotFoundError:
        raise MissingInput(f"{path}: not there; build it with `stickgen build`") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Corrupt(f"{path}: not a manifest ({error}); remove it and build again") from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise OtherSchema(
            f"{path}: schema version {manifest.schema_version}, this program reads {SCHEMA_VERSION}; run `stickgen corpus migrate`"
        )
    return manifest


def seal_problems(artefact: Path, manifest: Manifest) -> list[str]:
    """What is wrong with a sealed manifest's own bytes; nothing is known of one without a seal."""
    path = manifest_path(artefact)
    found = path.read_bytes()
    if "seal" not in json.loads(found) or found == manifest_text(manifest, seal=True).encode():
        return []
    return [f"{path}: its seal does not match its content; the manifest was changed after it was published"]


def lost_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of an artefact's files that are not there in their recorded size."""
    return [name for name, record in manifest.files.items() if not (path := folder / name).is_file() or path.stat().st_size != record.bytes]


def find_manifest(artefact: Path) -> Manifest | None:
    """The manifest if a whole artefact is there, else None. A damaged one counts as not there; one of another schema version does not:
    it is to be migrated, not silently made again."""
    try:
        return read_manifest(artefact)
    except OtherSchema:
        raise
    except (MissingInput, Corrupt):
        return None
