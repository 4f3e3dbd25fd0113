"""Every target that docs/seed-commands.md names exists: path, command, function, variable."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "seed-commands.md"
PATH_PREFIXES = ("configs/", "docs/", "tests/", "requirements/", "stickgen_core/", ".env")


def targets() -> list[str]:
    """Code spans of the right-hand column of every table before the last section (which lists differences)."""
    text = PAGE.read_text().split("## What does not hold")[0]
    rows = [line.split(" | ")[-1] for line in text.splitlines() if line.startswith("| ") and not line.startswith("| documented")]
    return sorted({span for row in rows for span in re.findall(r"`([^`]+)`", row)})


def of_kind(test) -> list[str]:
    return [target for target in targets() if test(target)]


def is_path(target: str) -> bool:
    return target.startswith(PATH_PREFIXES) and ":" not in target


def is_variable(target: str) -> bool:
    return re.fullmatch(r"[A-Z][A-Z_]+", target) is not None


@pytest.mark.parametrize("target", of_kind(is_path))
def test_a_named_path_exists(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", of_kind(is_variable))
def test_a_named_variable_is_documented(target):
    assert re.search(rf"^#?{target}=", (ROOT / ".env.example").read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", of_kind(lambda t: t.startswith("stickgen_core.")))
def test_a_named_function_can_be_imported(target):
    module, _, attributes = target.partition(":")
    found = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)


@pytest.mark.parametrize("target", of_kind(lambda t: t.startswith("stickgen ")))
def test_a_named_command_parses(target):
    from stickgen_pipeline.cli import parser

    parser().parse_args(target.split()[1:])


@pytest.mark.parametrize("target", of_kind(lambda t: t.startswith("make ")))
def test_a_named_make_target_exists(target):
    assert re.search(rf"^{target.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_page_is_not_empty():
    assert len(targets()) > 40
