"""Evidence that is a test: how it ended in the recorded run, `make test ARGS=--junitxml=...`. A skipped test proves nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from stickgen_core.errors import StickgenError
from stickgen_core.settings import Settings
from stickgen_pipeline.evidence import Line, line

TEST_RESULTS = "tests.xml"


def recorded_tests(settings: Settings) -> Iterator[Line]:
    """How the tests ended, whole and by what they are of."""
    path = settings.places.registry_file.with_name(TEST_RESULTS)
    found = _junit(path)
    if found is None:
        yield line("all tests pass", None, f"no record; run `make test ARGS=--junitxml={path}`")
        return
    bad = found["failures"] + found["errors"]
    yield line("all tests pass", not bad, f"{found['tests']} tests, {bad} failed, {found['skipped']} skipped, {found['at']} ({path})")
    for title, part in (("unit: transformer", "core.model"), ("unit: objective and sampler", "core.training"), ("unit: safety critic", "safety"),
                        ("unit: metrics", "core.evaluation"), ("integration: resume", "checkpoint_resume"), ("integration: SFT init", "sft_init_from"),
                        ("expressions and rendering", "core.rendering"), ("multi-actor", "actors")):  # fmt: skip
        number = sum(part in name for name in found["names"])
        yield line(title, number > 0 or None, f"{number} tests" if number else f"tests named {part}: {_missing(found, part)} ({path})")


def _junit(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        suite = ElementTree.parse(path).getroot().find(".//testsuite")
    except ElementTree.ParseError as error:
        raise StickgenError(f"{path}: not a JUnit record ({error}); run the tests again") from None
    if suite is None:
        raise StickgenError(f"{path}: no test suite in it; run the tests again")
    skipped = [_named(case) for case in suite.iter("testcase") if case.find("skipped") is not None]
    names = [_named(case) for case in suite.iter("testcase") if case.find("skipped") is None]
    failed = {_named(case) for case in suite.iter("testcase") if case.find("failure") is not None or case.find("error") is not None}
    numbers = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    return {**numbers, "at": suite.get("timestamp", "")[:19], "names": names, "failed": failed, "left_out": skipped}


def _named(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}"


def _missing(found: dict[str, Any], part: str) -> str:
    """Why no test of that name proves anything."""
    skipped = sum(part in name for name in found["left_out"])
    return f"all {skipped} were skipped" if skipped else "not in the recorded run"


def proved_by_tests(settings: Settings, title: str, file: str) -> Line:
    """Evidence that is a test: that it exists, and how it ended in the recorded run."""
    if not (settings.root / file).exists():
        return line(title, False, f"{file}: not there")
    found = _junit(settings.places.registry_file.with_name(TEST_RESULTS))
    if found is None:
        return line(title, None, f"{file}; no recorded run of the tests")
    stem = Path(file).stem
    mine = [name for name in found["names"] if stem in name]
    if not mine:
        return line(title, None, f"{file}: {_missing(found, stem)}")
    bad = [name for name in mine if name in found["failed"]]
    return line(title, not bad, f"{file}: {len(mine)} tests, {len(bad)} failed")
