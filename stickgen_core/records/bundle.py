"""A provenance bundle: a folder that a stranger can check offline, made of records alone. Equal records give equal bytes.

No motion can enter: the writer takes text and JSON, and refuses every other kind of file. No folder of this machine either.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.records import bundle_verifier
from stickgen_core.records.digests import digest_bytes, digest_json
from stickgen_core.records.history import SHORT, Entry, History, entry_from
from stickgen_core.records.lineage import Name, Walk
from stickgen_core.records.publish import temporary_beside
from stickgen_core.records.redaction import NOTHING, Redaction

TABLE, VERIFIER, FORMAT = bundle_verifier.TABLE, "verify.py", "stickgen-bundle/1"
# What digests are computed from: taking a folder's name out would break them.
PROVING = ("raw_files/", "clips/", "reports/")
TEXT = (".json", ".md", ".tex", ".bib", ".svg", ".lock", ".txt", ".yaml", ".py", ".tsv", ".cff")


@dataclass(frozen=True)
class Bundle:
    """A bundle on the disk; `root` is the digest to hand over beside it."""

    folder: Path
    root: str
    files: int
    bytes: int


def dumps(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def entry_path(entry: Entry) -> str:
    return f"artefacts/{entry.key.replace('/', '.')}@{entry.digest[:SHORT]}.json"


def record_files(walk: Walk, history: History) -> dict[str, bytes]:
    """Entries, configurations, environments and raw file lists of a walk."""
    return told(walk, history, NOTHING)[1]


def told(walk: Walk, history: History, redaction: Redaction) -> tuple[Walk, dict[str, bytes]]:
    """A walk as a stranger may read it, with its record files.

    A configuration or environment that named a folder has another digest without it; its entries then name that one.
    """
    files: dict[str, bytes] = {}
    entries: dict[Name, Entry] = {}
    for entry in walk.entries:
        named: dict[str, str] = {}
        for folder, digest, found in (
            ("configurations", entry.configuration, history.configuration(entry.configuration)),
            ("environments", entry.environment, history.environment(entry.environment)),
        ):
            if digest and found is None:
                raise StickgenError(f"{entry.key}: its {folder[:-1]} {digest[:12]} is not in {history.folder}; build {entry.key} again")
            if digest:
                said = _said(found, redaction)
                named[folder[:-1]] = digest_json(said)
                files[f"{folder}/{digest_json(said)}.json"] = dumps(said)
        entries[entry.name] = entry_from({**_said(asdict(entry), redaction), **named})
        files[entry_path(entry)] = dumps(asdict(entries[entry.name]))
        listed = history.files(entry.digest) if entry.kind == "inventory" else None
        if listed:
            files[f"raw_files/{entry.digest[:SHORT]}.json"] = dumps(listed)
    return replace(walk, root=entries[walk.root.name], entries=tuple(entries.values())), files


def _said(values: Any, redaction: Redaction) -> Any:
    return json.loads(redaction.text(json.dumps(values, ensure_ascii=False)))


def redacted(files: Mapping[str, bytes], redaction: Redaction) -> dict[str, bytes]:
    """Files without folders of this machine; those that digests are computed from stay as they are."""
    return {name: data if name.startswith(PROVING) else redaction.text(data.decode()).encode() for name, data in files.items()}


def write_bundle(target: Path, walk: Walk, files: Mapping[str, bytes], *, store_schema: int, facts: Mapping[str, Any],
                 redaction: Redaction = NOTHING) -> Bundle:  # fmt: skip
    """Publish the folder whole; an existing one is replaced only if it is a bundle."""
    if target.exists() and any(target.iterdir()) and not (target / TABLE).exists():
        raise StickgenError(f"{target}: is there and is no bundle; name another folder")
    if not walk.whole:
        lost = walk.missing[0]
        raise StickgenError(
            f"{walk.root.key}: no record of {lost.key}@{lost.digest[:12]}, which {lost.needed_by} was made from; a bundle would have a hole. "
            f"Build {lost.needed_by} again, or take the version in place"
        )
    content = {**files, VERIFIER: Path(bundle_verifier.__file__).read_bytes()}
    for name in content:
        if not name.endswith(TEXT) or name.startswith("/") or ".." in Path(name).parts:
            raise StickgenError(f"{name}: a bundle holds records only ({', '.join(TEXT)})")
    table = dumps({
        "format": FORMAT, "root": {"key": walk.root.key, "digest": walk.root.digest}, "store_schema": store_schema, "facts": dict(facts),
        "artefacts": [entry_path(entry) for entry in walk.entries],
        "files": {name: {"bytes": len(data), "sha256": digest_bytes(data)} for name, data in sorted(content.items())},
    })  # fmt: skip
    for name, data in (*content.items(), (TABLE, table)):
        folder = redaction.found(f"{name}\n{data.decode(errors='replace')}")
        if folder:
            raise StickgenError(
                f"{name}: names {folder}, a folder of this machine, and its digest would not hold without it; make it again"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = temporary_beside(target)
    try:
        for name, data in (*content.items(), (TABLE, table)):
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Bundle(target, digest_bytes(table), len(content) + 1, sum(map(len, content.values())) + len(table))


def read_table(folder: Path) -> dict[str, Any]:
    """The table of a bundle, after a look at whether it is one."""
    path = folder / TABLE
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StickgenError(f"{folder}: no {TABLE} in it; expected a folder that `stickgen provenance` wrote") from None
    except ValueError as error:
        raise StickgenError(f"{path}: not JSON ({error})") from None
    if table.get("format") != FORMAT:
        raise StickgenError(f"{path}: format {table.get('format')!r}, this program reads {FORMAT!r}")
    return table


def configuration_digest(values: Mapping[str, Any]) -> str:
    return digest_json(dict(values))
