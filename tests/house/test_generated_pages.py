"""Pages that are written from the code and the registry say what those say now."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["CITATION.cff", "CITATIONS.md"])
def test_citations_come_from_the_registry(name):
    pages = runpy.run_path(str(ROOT / "scripts" / "citations.py"))["pages"]()
    assert (ROOT / name).read_text(encoding="utf-8") == pages[name], "run `python scripts/citations.py`"


def test_the_citation_file_is_what_readers_of_the_format_expect():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= found.keys()
    assert len(found["references"]) >= 10 and all({"title", "authors"} <= r.keys() for r in found["references"])


def test_every_check_of_the_graph_is_listed_with_its_severity():
    from stickgen_pipeline.checklist import listed_checks
    from stickgen_pipeline.profile import resolve

    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = {(m[1], m[2]) for m in re.finditer(r"^\| (\w+) \|.*\| (stops|warns) \|", page, re.MULTILINE)}
    wanted = {(one.check.name, "stops" if one.check.stops else "warns") for one in listed_checks(resolve("full", ROOT))}
    assert rows == wanted, f"run `python scripts/checks.py`: {rows ^ wanted}"


def test_every_tick_of_the_feature_table_names_a_test_or_a_figure_that_exists():
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| feature", "|---"))]
    assert len(rows) >= 7
    for row in rows:
        paths = re.findall(r"`((?:tests|docs|bench)/[^`:]+)(?:::([^`]+))?`", row)
        assert paths, row
        for path, test in paths:
            assert (ROOT / path).exists(), f"{path} in {row}"
            assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"
