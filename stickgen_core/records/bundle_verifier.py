"""Check a provenance bundle: python verify.py ROOT_DIGEST. Standard library only; prints what is wrong and exits 1, or says that all holds.

The root digest was printed when the bundle was made. A verifier cannot vouch for itself: take it from a source you trust, or read it,
it is short. Every file is held against bundle.json, bundle.json against the root digest, every input of every artefact against an
artefact of the bundle, and each digest that can be computed from what is here is computed again.
"""

import hashlib
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

TABLE = "bundle.json"


def digest_json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()


def digest_entries(kind: str, entries: Iterable[tuple[str, str]]) -> str:
    hasher = hashlib.sha256(kind.encode())
    for key, digest in sorted(entries):
        hasher.update(f"\n{key}\t{digest}".encode())
    return hasher.hexdigest()


def problems(folder: Path, root: str) -> list[str]:
    """One line for each thing that is wrong."""
    try:
        raw = (folder / TABLE).read_bytes()
    except OSError as error:
        return [f"{TABLE}: cannot be read ({error.strerror})"]
    found = []
    if hashlib.sha256(raw).hexdigest() != root:
        found.append(f"{TABLE}: SHA-256 is {hashlib.sha256(raw).hexdigest()}, not the root digest {root}")
    try:
        table = json.loads(raw)
        files, artefacts = {name: record["sha256"] for name, record in table["files"].items()}, table["artefacts"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [*found, f"{TABLE}: not the table of a bundle ({error})"]
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.append(f"{name}: altered; SHA-256 is not the one in {TABLE}")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found.append(f"{name}: a link; a bundle holds files and folders only")
        elif not path.is_dir() and name != TABLE and name not in files:
            found.append(f"{name}: not part of the bundle")
    try:
        found += chain(folder, table, artefacts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found.append(f"the chain cannot be walked: {type(error).__name__} {error}")
    return found


def chain(folder: Path, table: dict[str, Any], artefacts: list[str]) -> list[str]:
    entries = {}
    for name in artefacts:
        entry = json.loads((folder / name).read_text(encoding="utf-8"))
        entries[entry["key"], entry["digest"]] = entry
    found = []
    if (table["root"]["key"], table["root"]["digest"]) not in entries:
        found.append(f"{table['root']['key']}: the artefact that this bundle is about has no entry")
    for (key, digest), entry in entries.items():
        for parent, needed in entry["inputs"].items():
            if (parent, needed) not in entries:
                others = [d for k, d in entries if k == parent]
                found.append(f"{key}: input {parent} {needed[:16]} is not here" + (f" (here is {others[0][:16]})" if others else ""))
        if entry["manifest"]["digest"] != digest or entry["manifest"]["name"] != key:
            found.append(f"{key}: its manifest is of {entry['manifest']['name']} {entry['manifest']['digest'][:16]}, not {digest[:16]}")
        for kind in ("configuration", "environment"):
            if entry[kind] and f"{kind}s/{entry[kind]}.json" not in table["files"]:
                found.append(f"{key}: its {kind} {entry[kind][:16]} is not here")
        found += [f"{key}: {problem}" for problem in recomputed(folder, table["files"], entry, table["store_schema"])]
    for name in table["files"]:
        named = name.startswith(("configurations/", "environments/"))
        if named and digest_json(json.loads((folder / name).read_text(encoding="utf-8"))) != Path(name).stem:
            found.append(f"{name}: its content is not what its name says")
    return found


def recomputed(folder: Path, files: dict[str, Any], entry: dict[str, Any], schema: int) -> Iterator[str]:
    """Digests that follow from files of the bundle."""
    digest, manifest = entry["digest"], entry["manifest"]
    short = digest[:16]
    inventory, clips, report = f"raw_files/{short}.json", f"clips/{short}.tsv", f"reports/{short}.json"
    if inventory in files:
        listed = json.loads((folder / inventory).read_text(encoding="utf-8"))
        if digest_entries("inventory.v1", listed.items()) != digest:
            yield f"its digest is not that of the raw files in {inventory}"
    if clips in files:
        lines = (folder / clips).read_text(encoding="utf-8").splitlines()
        pairs = [(clip, found) for clip, _, found in (line.partition("\t") for line in lines)]
        store = manifest["notes"]["store"]
        if digest_entries("artifact.v1", pairs) != store["clips_digest"]:
            yield f"its clips digest is not that of the clips in {clips}"
        whole = {"corpus": schema, "clips": store["clips_digest"], "annotations": store["annotations_digest"]}
        if digest_json(whole) != digest:
            yield "its digest is not that of its clips and annotations"
    if report in files:
        stored = json.loads((folder / report).read_text(encoding="utf-8"))
        if digest_json(stored.get("content", stored)) != digest:
            yield f"its digest is not that of the numbers in {report}"
    listed = [(name, record["sha256"]) for name, record in manifest["files"].items()]
    if entry["kind"] in ("motions", "videos") and digest_entries(f"{entry['kind']}.v1", listed) != digest:
        yield "its digest is not that of its files"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or len(arguments[0]) != 64:
        sys.stdout.write("usage: python verify.py ROOT_DIGEST   (64 hexadecimal digits, printed when the bundle was made)\n")
        return 2
    found = problems(Path(__file__).resolve().parent, arguments[0].lower())
    lines = [*found, f"{len(found)} problems"] if found else ["every byte, link and digest of this bundle holds"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
