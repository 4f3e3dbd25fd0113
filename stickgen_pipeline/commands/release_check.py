"""`stickgen release-check`: the documented production and reproduction checklists, each line with evidence or 'not done', and a sign-off."""

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.records.digests import digest_json
from stickgen_core.records.publish import publish_text
from stickgen_core.settings import Settings
from stickgen_pipeline import evidence
from stickgen_pipeline.commands.common import answer, settings_of, table
from stickgen_pipeline.evidence import Line
from stickgen_pipeline.release_lines import checklist

SIGN_OFFS = "sign_offs.json"


def release_check(options: argparse.Namespace) -> int:
    """Exit code 1 if a line failed; 'not done' is not a failure but is counted and printed."""
    settings = settings_of(options)
    sections = [(title, list(lines)) for title, lines in checklist(settings)]
    every = [one for _, lines in sections for one in lines]
    if options.sign:
        sign(settings, options.sign, options.role, every)
    signed = sign_offs(settings)
    digest = _digest(every)
    text = "\n\n".join(f"{title}\n{table(('check', 'state', 'evidence'), evidence.rows(lines))}" for title, lines in sections)
    rows = [
        (s["name"], s["role"], s["at"], s["summary"], "this very evidence" if s["evidence"] == digest else "the evidence has changed since")
        for s in signed
    ]
    signatures = (
        table(("signed by", "role", "at", "evidence was", ""), rows)
        if rows
        else "not signed; --sign NAME --role ROLE records who approved this evidence"
    )
    answer(options, {"profile": settings.profile, "evidence_digest": digest, "sign_offs": signed,
                     "sections": {title: evidence.as_json(lines) for title, lines in sections}},
           f"{text}\n\n6.2 sign-off\n{signatures}\n\n{evidence.summary(every)}; evidence {digest[:12]}")  # fmt: skip
    return 1 if any(one.state == "failed" for one in every) else 0


def _digest(lines: list[Line]) -> str:
    """Of what was approved; how full the disk is belongs to the moment."""
    return digest_json([[one.name, one.state, one.evidence] for one in lines if one.name not in ("disk", "memory")])


def sign_offs(settings: Settings) -> list[dict[str, Any]]:
    path = settings.places.registry_file.with_name(SIGN_OFFS)
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def sign(settings: Settings, name: str, role: str, lines: list[Line]) -> None:
    """Record who approved which evidence; an approval of other evidence shows as such later."""
    if any(one.state == "failed" for one in lines):
        failed = next(one for one in lines if one.state == "failed")
        raise StickgenError(f"not signed: {failed.name}: {failed.evidence}; a failed line cannot be approved")
    entry = {
        "name": name,
        "role": role,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "evidence": _digest(lines),
        "summary": evidence.summary(lines),
    }
    publish_text(
        settings.places.registry_file.with_name(SIGN_OFFS), json.dumps([*sign_offs(settings), entry], indent=1, ensure_ascii=False) + "\n"
    )
