"""Reports on disk: JSON that a program can check, a page that a person can open, a manifest that names what both were made from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stickgen_core.errors import Corrupt, MissingInput, StickgenError
from stickgen_core.evaluation.checkpoint import EvaluationResult
from stickgen_core.evaluation.gallery import FIGURES_NAME, save_figures
from stickgen_core.evaluation.page import checkpoint_page
from stickgen_core.records.digests import digest_file, digest_json
from stickgen_core.records.manifest import FileRecord, Manifest, write_manifest
from stickgen_core.records.publish import publish_text

REPORT_NAME, PAGE_NAME = "report.json", "index.html"
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")


def validate(report: Mapping[str, Any]) -> None:
    """Refuse a report that the schema does not allow or whose digest is not its content's."""
    import jsonschema

    try:
        jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    except jsonschema.ValidationError as error:
        raise StickgenError(f"report: {error.json_path}: {error.message.splitlines()[0][:200]}") from None
    if digest_json(report["content"]) != report["content_digest"]:
        raise Corrupt("report: content does not match its digest; it was changed after it was measured")


def write_report(result: EvaluationResult, folder: Path, *, name: str, recipe: str, parents: Mapping[str, str]) -> Manifest:
    """Publish `report.json`, `index.html` and the motions that it plays; equal work gives an equal manifest digest, whenever and however fast it was done."""
    report = result.report()
    validate(report)
    report["made"] = {**report["made"], "at": datetime.now(UTC).isoformat(timespec="seconds")}
    folder.mkdir(parents=True, exist_ok=True)
    publish_text(folder / REPORT_NAME, dumps(report))
    publish_text(folder / PAGE_NAME, checkpoint_page(report, result.figures.figures, result.failures.figures, result.fps))
    save_figures(folder / FIGURES_NAME, result.figures.figures)
    return publish_folder(
        folder,
        name,
        result.digest,
        recipe,
        parents,
        notes={"headline": headline(result.content), "thresholds": brief(result.content)},
        made=report["made"],
    )


def publish_folder(
    folder: Path, name: str, digest: str, recipe: str, parents: Mapping[str, str], *, notes: Mapping[str, Any], made: Mapping[str, Any]
) -> Manifest:  # fmt: skip
    """The manifest over every file of a report folder, written last."""
    files = {
        p.relative_to(folder).as_posix(): FileRecord(p.stat().st_size, digest_file(p))
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.startswith(".") and p.name != "manifest.json"
    }
    manifest = Manifest(name=name, kind="report", digest=digest, recipe=recipe, parents=dict(parents), files=files, notes=notes, made=made)
    write_manifest(folder, manifest)
    return manifest


def dumps(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_report(folder: Path) -> dict[str, Any]:
    """A stored report, validated; its digest is checked."""
    path = folder / REPORT_NAME if folder.is_dir() else folder
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInput(f"{path}: no report; make it with `stickgen evaluate`") from None
    except ValueError as error:
        raise Corrupt(f"{path}: not JSON ({error}); evaluate again") from None
    try:
        validate(report)
    except StickgenError as error:
        raise type(error)(f"{path}: {error}") from None
    return report


def brief(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each documented bar with its verdict, as the graph's checks read it."""
    return [
        {key: bar[key] for key in ("name", "title", "value", "limit", "passes", "passed", "unit", "note")} for bar in content["thresholds"]
    ]


HEADLINE = ("kid", "r_precision_text_to_motion_3", "action_accuracy", "energy_ratio", "jerk_ratio", "diversity_to_real")


def headline(content: Mapping[str, Any]) -> dict[str, float | None]:
    """The few numbers of the model's row that metadata shows."""
    row = next(row for row in content["rows"] if row["kind"] == "model")
    found = {name: row["measures"][name]["value"] for name in HEADLINE}
    return {**found, "validation_loss": content["losses"]["validation_loss"]["value"]}
