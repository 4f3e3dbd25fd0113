"""Whose data it was: citations, licences and the citation files, generated from the registry's own words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """What a paper must say of a data set that contributed; clips and frames are 0 where only the terms are asked for."""

    name: str
    title: str
    licence: str
    licence_url: str = ""
    note: str = ""
    share_derived: bool = False
    citation: str = ""
    get: str = ""
    clips: int = 0
    frames: int = 0


def keys(citation: str) -> list[str]:
    """The keys of BibTeX entries."""
    return re.findall(r"@\w+\s*\{\s*([^,\s]+)\s*,", citation)


def bibtex(sets: Iterable[DataSet], own: str = "") -> str:
    """Every entry once, in the order of the data sets."""
    seen: set[str] = set()
    parts = []
    for text in (own, *(found.citation for found in sets)):
        entries = [f"@{part.strip()}" for part in re.split(r"(?m)^\s*@", text) if part.strip()]
        for entry in entries:
            found = keys(entry)
            if found and found[0] not in seen:
                seen.add(found[0])
                parts.append(entry)
    return "\n\n".join(parts) + "\n"


def licences(sets: Iterable[DataSet]) -> str:
    """A table of terms."""
    lines = ["| data set | licence | may derived clips be shared | terms | where to get it |", "|---|---|---|---|---|"]
    for found in sets:
        terms = " ".join(filter(None, (found.licence_url, " ".join(found.note.split()))))
        lines.append(f"| {found.title} | {found.licence} | {'yes' if found.share_derived else 'no'} | {terms} | {found.get} |")
    return "\n".join(lines) + "\n"


def citations_page(sets: Iterable[DataSet], own: str) -> str:
    """CITATIONS.md."""
    sets = list(sets)
    parts = [
        "# Citations\n\nGenerated from `configs/datasets/` by `python scripts/citations.py`; a test holds it against them. Cite Stickgen and"
        " every data set that contributed; `stickgen provenance` writes exactly those of one artefact.\n",
        f"## Stickgen\n\n```bibtex\n{own.strip()}\n```\n",
    ]
    for found in sets:
        cite = f"```bibtex\n{found.citation.strip()}\n```" if found.citation else "Nothing to cite."
        parts.append(f"## {found.title}\n\nLicence: {found.licence}. {found.licence_url}\n\n{cite}\n")
    return "\n".join(parts)


def citation_cff(sets: Iterable[DataSet], title: str, version: str, abstract: str) -> str:
    """CITATION.cff: the software, with a reference for each data set's paper."""
    import yaml

    references = []
    for found in sets:
        for entry in re.split(r"(?m)^\s*@", found.citation):
            if parsed := _reference(entry):
                references.append({**parsed, "notes": f"data set {found.name}, licence: {found.licence}"})
    values = {
        "cff-version": "1.2.0", "message": "Please cite this software and the data sets that your artefacts were made from.", "type": "software",
        "title": title, "version": version, "license": "MIT", "abstract": abstract, "authors": [{"name": "The Stickgen authors"}],
        "references": references,
    }  # fmt: skip
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def _reference(entry: str) -> dict[str, object] | None:
    fields = {name.lower(): _plain(value) for name, value in re.findall(r"(\w+)\s*=\s*\{((?:[^{}]|\{[^{}]*\})*)\}", entry)}
    if "title" not in fields or "author" not in fields:
        return None
    authors = [_person(name) for name in re.split(r"\s+and\s+", fields["author"])]
    found: dict[str, object] = {
        "type": "article" if "journal" in fields else "conference-paper",
        "title": fields["title"],
        "authors": authors,
    }
    if fields.get("year", "").isdigit():
        found["year"] = int(fields["year"])
    if "journal" in fields:
        found["journal"] = fields["journal"]
    elif "booktitle" in fields:
        found["collection-title"] = fields["booktitle"]
    return found


def _person(name: str) -> dict[str, str]:
    if name.strip().lower() == "others":
        return {"name": "others"}
    family, comma, given = name.partition(",")
    if not comma:
        given, _, family = name.strip().rpartition(" ")
    return {"family-names": family.strip(), **({"given-names": given.strip()} if given.strip() else {})}


def _plain(text: str) -> str:
    """BibTeX braces and blanks away."""
    return " ".join(text.replace("{", "").replace("}", "").split())
