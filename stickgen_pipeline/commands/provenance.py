"""`stickgen provenance ARTEFACT -o bundle/`: everything a stranger needs to check where an artefact came from, and no motion."""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stickgen_core import __version__
from stickgen_core.corpus import Corpus
from stickgen_core.corpus.folder import STORE_NOTE
from stickgen_core.corpus.index import STORE_SCHEMA
from stickgen_core.records import citations, methods
from stickgen_core.records.bundle import Bundle, dumps, redacted, told, write_bundle
from stickgen_core.records.citations import DataSet
from stickgen_core.records.crate import crate_metadata
from stickgen_core.records.croissant import croissant
from stickgen_core.records.digests import digest_bytes, digest_json
from stickgen_core.records.history import SHORT, Entry, entry_of
from stickgen_core.records.lineage import Walk, tree
from stickgen_core.records.lineage_figure import lineage_svg
from stickgen_core.records.pins import pin
from stickgen_core.records.prov_document import prov_json
from stickgen_core.records.redaction import Redaction
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, settings_of, size
from stickgen_pipeline.commands.lineage import as_key, is_absent, says
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.witness import configuration, history_of, lineage_of

OWN = """@software{stickgen,
  title = {Stickgen: a text-to-motion research release that rebuilds itself},
  author = {{The Stickgen authors}},
  year = {2026}
}"""
MEASURES = ("kid", "r_precision_text_to_motion_3", "action_accuracy", "energy_ratio", "jerk_ratio")
ARRAYS = {
    "joints": "[T, A, 22, 3] metres, Y up, 22 SMPL body joints", "present": "[T, A] whether the person is there",
    "motion": "[T, A, 20] stick figure: head, torso, left arm, right arm, legs", "actions": "[T, A] action ids, -1 unknown",
    "physics": "[T, A, 6] pelvis velocity, acceleration, momentum per kg", "camera": "[T, 3] view centre in metres, zoom",
}  # fmt: skip


def provenance(options: argparse.Namespace) -> int:
    """Write the bundle and print its root digest."""
    settings = settings_of(options)
    lineage = lineage_of(settings)
    walk = lineage.walk(lineage.find(as_key(options.artefact)))
    bundle = bundle_of(settings, walk, Path(options.output))
    if options.release:
        pin(settings.places.pins, walk, f"released, root digest {bundle.root}")
    values = {
        "folder": str(bundle.folder),
        "root_digest": bundle.root,
        "files": bundle.files,
        "bytes": bundle.bytes,
        "artefacts": len(walk.entries),
    }
    return answer(
        options,
        values,
        f"{bundle.folder}: {bundle.files} files, {size(bundle.bytes)}, {len(walk.entries)} artefacts, no motion\n"
        f"root digest {bundle.root}\ncheck it anywhere: python {bundle.folder}/verify.py {bundle.root}",
    )


def bundle_of(settings: Settings, walk: Walk, target: Path) -> Bundle:
    """The records of a walk, and everything that is written from them."""
    walk = _with_configurations(settings, walk)
    history = history_of(settings)
    known = history.configuration(walk.root.configuration) or configuration(settings)
    sets = data_sets(settings, walk, known)
    environment = history.environment(walk.root.environment) or {}
    commit = str((environment.get("git") or {}).get("commit") or "")
    date = max((str(entry.made.get("at", "")) for entry in walk.entries), default="")
    fps = float(known["config"]["canonical"]["fps"])
    redaction = folders_of(settings)
    walk, files = told(walk, history, redaction)
    files |= _content(settings, walk, redaction)
    for lock in sorted((settings.root / "requirements").glob("*.lock*")):
        files[f"environment/{lock.name.removesuffix('.txt')}"] = lock.read_bytes()
    results = result_rows(walk, files)
    sentences = methods.paragraph(walk, sets, known["config"], commit)
    tables = methods.tables(walk, sets, results, fps)
    absent = {entry.name for entry in walk.entries if is_absent(entry)}
    texts = {
        "methods.md": methods.methods_markdown(sentences, tables), "methods.tex": methods.methods_latex(sentences, tables),
        "citations.bib": citations.bibtex(sets, OWN), "licences.md": citations.licences(sets), "lineage.svg": lineage_svg(walk, absent),
        "lineage.txt": tree(walk, says, is_absent) + "\n", "prov.json": prov_json(walk, version=__version__, commit=commit),
        "README.md": _readme(walk, commit),
        **{f"tables/{table.name}.md": table.markdown() for table in tables}, **{f"tables/{table.name}.tex": table.latex() for table in tables},
    }  # fmt: skip
    files |= {name: text.encode() for name, text in texts.items()}
    for entry in walk.entries:
        if STORE_NOTE in entry.manifest.notes and entry.manifest.counts.get("clips"):
            folder = steps_of(settings)[entry.key].folder
            if f"clips/{entry.digest[:SHORT]}.tsv" in files:
                described = croissant(entry, columns(folder), ARRAYS, _of_corpus(entry, folder, sets), path=_below(settings, folder),
                                      pool=_below(settings, settings.places.shards), version=__version__, date=date[:10])  # fmt: skip
                files[f"croissant/{entry.key.replace('/', '.')}.json"] = dumps(described)
    files = redacted(files, redaction)
    listed = {name: (len(data), digest_bytes(data)) for name, data in files.items()}
    crate = crate_metadata(walk, listed, sets, version=__version__, commit=commit, date=date[:10] or "1970-01-01")
    files |= redacted({"ro-crate-metadata.json": dumps(crate)}, redaction)
    facts = {"profile": known["profile"], "commit": commit, "version": __version__}
    return write_bundle(target, walk, files, store_schema=STORE_SCHEMA, facts=facts, redaction=redaction)


def folders_of(settings: Settings) -> Redaction:
    """The folders of this machine that no bundle may name."""
    places = settings.places
    return Redaction({
        "$DATA_ROOT": places.raw, "$STICKGEN_DATA": places.data, "$STICKGEN_OUTPUT_DIR": places.outputs, "$STICKGEN_ROOT": settings.root,
        "~": Path(os.environ.get("HOME") or "/"),
    })  # fmt: skip


def _with_configurations(settings: Settings, walk: Walk) -> Walk:
    """Artefacts that are in place but older than the history join it now, without a configuration that nobody recorded."""
    history = history_of(settings)
    for entry in walk.entries:
        if not history.has(entry.key, entry.digest, entry.recipe, entry.inputs):
            history.add(entry_of(entry.manifest, entry.recipe, entry.inputs))
    return walk


def data_sets(settings: Settings, walk: Walk, known: Mapping[str, Any]) -> list[DataSet]:
    """Data sets with clips in the walk, in the words of the registry as it was when the artefact was made."""
    found = []
    for entry in walk.entries:
        name = entry.key.partition("/")[2]
        counts = entry.manifest.counts
        if not entry.key.startswith("canonical/") or not counts.get("clips") or name not in known["datasets"]:
            continue
        found.append(data_set(known["datasets"][name], int(counts["clips"]), int(counts["frames"])))
    return found


def data_set(spec: Mapping[str, Any], clips: int = 0, frames: int = 0) -> DataSet:
    licence = spec["licence"]
    return DataSet(spec["name"], spec["title"], licence["name"], licence["url"], licence["note"], licence["share_derived"], spec["citation"],
                   spec["register_at"], clips, frames)  # fmt: skip


def _content(settings: Settings, walk: Walk, redaction: Redaction) -> dict[str, bytes]:
    """What lets digests be computed again: ids and digests of clips, numbers of reports, configurations of runs."""
    steps, files = steps_of(settings), {}
    for entry in walk.entries:
        if entry.key not in steps:
            continue
        folder, short = steps[entry.key].folder, entry.digest[:SHORT]
        if STORE_NOTE in entry.manifest.notes:
            corpus = Corpus.open(folder)
            if corpus.digest == entry.digest:
                pairs = sorted(zip(corpus.ids, corpus.index["digest"].to_pylist(), strict=True))
                files[f"clips/{short}.tsv"] = "".join(f"{clip}\t{digest}\n" for clip, digest in pairs).encode()
        for name in ("report.json", "release.json", "selection.json"):
            path = folder / name
            if path.exists() and name in entry.manifest.files and digest_bytes(path.read_bytes()) == entry.manifest.files[name].sha256:
                data = path.read_bytes()
                # Beside its content a report says what made it: a folder's name there is in no digest.
                for report in (redaction.text(data.decode()).encode(), data):
                    stored = json.loads(report)
                    if digest_json(stored.get("content", stored)) == entry.digest:
                        files[f"reports/{short}.json"] = report
                        break
        if entry.kind == "checkpoint" and (folder / "config.yaml").exists():
            data = (folder / "config.yaml").read_bytes()
            if digest_bytes(data) == entry.manifest.files["config.yaml"].sha256:
                files[f"runs/{entry.key.partition('/')[2]}.yaml"] = data
    return files


def result_rows(walk: Walk, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Floor, ceiling and model rows of the walk's own table, or of its reports."""
    order = [walk.root, *reversed(walk.entries)]
    for entry in order:
        data = files.get(f"reports/{entry.digest[:SHORT]}.json")
        rows = json.loads(data).get("content", {}).get("rows") if data else None
        if rows:
            return [
                {"title": row["title"], "measures": {name: row["measures"].get(name) for name in MEASURES}}
                for row in rows
                if row["measures"]
            ]
    return []


def columns(folder: Path) -> list[tuple[str, str]]:
    """Index columns with their Croissant types."""
    import pyarrow as pa

    def kind(found: pa.DataType) -> str:
        if pa.types.is_boolean(found):
            return "sc:Boolean"
        if pa.types.is_integer(found):
            return "sc:Integer"
        return "sc:Float" if pa.types.is_floating(found) else "sc:Text"

    return [(field.name, kind(field.type)) for field in Corpus.open(folder).index.schema]


def _of_corpus(entry: Entry, folder: Path, sets: list[DataSet]) -> list[DataSet]:
    held = set(Corpus.open(folder).index["source"].unique().to_pylist())
    return [found for found in sets if found.name in held]


def _below(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.places.data).as_posix() if path.is_relative_to(settings.places.data) else path.name


def _readme(walk: Walk, commit: str) -> str:
    return f"""# Where {walk.root.key} came from

The record of {walk.root.key}, SHA-256 {walk.root.digest}: {len(walk.entries)} artefacts back to the hashes of raw files{f", made at commit {commit}" if commit else ""}.
It holds records only. Motion stays with those who may have it.

    python verify.py ROOT_DIGEST

needs no packages; the root digest was printed when this was made and must come to you another way than this folder.

| in | is |
|---|---|
| `bundle.json` | every file with its SHA-256; its own SHA-256 is the root digest |
| `artefacts/` | what each artefact is, its recipe, its inputs by digest |
| `configurations/`, `environments/`, `environment/`, `runs/` | the resolved configuration, the machine and packages, the locks, each training run's configuration |
| `raw_files/`, `clips/`, `reports/` | what the digests are computed from: raw files, clips, numbers |
| `ro-crate-metadata.json`, `prov.json`, `croissant/` | the same record as RO-Crate, W3C PROV and Croissant |
| `licences.md`, `citations.bib` | whose data it was, under which terms |
| `methods.md`, `methods.tex`, `tables/`, `lineage.svg` | for a paper, written from the record |

`stickgen reproduce` on this folder rebuilds the artefact elsewhere and compares stage by stage.
"""
