"""A walk as RO-Crate (Workflow Run Crate): every artefact an entity, every derivation a CreateAction, every file of the bundle listed."""

from collections.abc import Iterable, Mapping
from typing import Any

from stickgen_core.records.citations import DataSet
from stickgen_core.records.history import Entry
from stickgen_core.records.lineage import Walk

PROFILES = ("https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5")
TYPES = {"corpus": "Dataset", "inventory": "Dataset", "checkpoint": "SoftwareApplication", "report": "CreativeWork"}
SOFTWARE, WORKFLOW = "#stickgen", "#graph"


def crate_metadata(
    walk: Walk, files: Mapping[str, tuple[int, str]], sets: Iterable[DataSet], *, version: str, commit: str, date: str
) -> dict[str, Any]:
    """`ro-crate-metadata.json`; files: path in the bundle -> (bytes, SHA-256)."""
    from rocrate.model import ContextEntity, File
    from rocrate.rocrate import ROCrate

    by_name = {found.name: found for found in sets}
    crate = ROCrate()
    about = {
        "name": f"Provenance of {walk.root.key} {walk.root.digest[:12]}",
        "description": "What the artefact was made from, back to the hashes of raw files. It holds no motion.",
        "license": "https://spdx.org/licenses/MIT",
        "conformsTo": [{"@id": profile} for profile in PROFILES],
    }
    for name, value in about.items():
        crate.root_dataset[name] = value

    def add(identifier: str, /, **properties: Any) -> Any:
        return crate.add(ContextEntity(crate, identifier, properties=properties))

    for profile in PROFILES:
        add(profile, **{"@type": "CreativeWork", "name": profile.split("/")[-2]})
    software = add(SOFTWARE, **{"@type": "SoftwareApplication", "name": "Stickgen", "softwareVersion": version, "identifier": commit})
    workflow = add(
        WORKFLOW, **{"@type": ["SoftwareSourceCode", "HowTo"], "name": "raw, canonical, corpus, models, release", "version": commit}
    )
    crate.root_dataset["mainEntity"] = workflow
    for name, (size, sha256) in sorted(files.items()):
        crate.add(File(crate, dest_path=name, properties={"contentSize": str(size), "sha256": sha256, "name": name}, fetch_remote=False))
    made: dict[tuple[str, str], Any] = {}
    for entry in walk.entries:
        made[entry.name] = add(_id(entry), **_artefact(entry, by_name.get(entry.key.partition("/")[2])))
    for entry in walk.entries:
        if entry.inputs:
            action = add(f"#making-{entry.digest[:16]}-{entry.key.replace('/', '.')}", **_action(entry))
            action["instrument"] = [software, workflow]
            action["object"] = [made[name] for name in sorted(entry.inputs.items()) if name in made]
            action["result"] = made[entry.name]
            crate.root_dataset.append_to("mentions", action)
    crate.root_dataset["about"] = made[walk.root.name]
    found: dict[str, Any] = crate.metadata.generate()
    for entity in found["@graph"]:
        # The library stamps the descriptor with nothing of ours; equal input must give equal bytes.
        if entity["@id"] == "./":
            entity["datePublished"] = date
    found["@graph"].sort(key=lambda entity: (entity["@id"] not in ("ro-crate-metadata.json", "./"), entity["@id"]))
    return found


def _id(entry: Entry) -> str:
    return f"#{entry.key}@{entry.digest[:16]}"


def _artefact(entry: Entry, data_set: DataSet | None) -> dict[str, Any]:
    files = entry.manifest.files
    said: dict[str, Any] = {
        "@type": TYPES.get(entry.kind, "CreativeWork"), "name": entry.key, "identifier": f"sha256:{entry.digest}", "sha256": entry.digest,
        "version": entry.recipe, "contentSize": str(sum(record.bytes for record in files.values())),
    }  # fmt: skip
    if data_set is not None:
        said |= {"license": data_set.licence_url or data_set.licence, "description": data_set.title}
    return said


def _action(entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {
        "@type": "CreateAction",
        "name": f"making {entry.key}",
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    if entry.made.get("at"):
        said["endTime"] = str(entry.made["at"])
    if entry.configuration:
        said["description"] = f"configuration {entry.configuration}, environment {entry.environment}, recipe {entry.recipe}"
    return said
