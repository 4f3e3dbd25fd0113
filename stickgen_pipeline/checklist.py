"""One list of every check: what it asks, its threshold and where that comes from, whether it stops the graph, and what it then holds back."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from stickgen_core.settings import Settings
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.steps import Check, Step, Steps
from stickgen_pipeline.tables import MOST_ROWS, markdown

# Where a threshold stands in the configuration; a check that is not here compares against nothing that could be set.
THRESHOLDS = {
    "is_there": "pipeline.absent_is_error",
    "has_clips": "at least 1 clip",
    "counts_add_up": "difference 0",
    "store_is_whole": "0 problems",
    "nothing_vanished": "0 files lost",
    "no_leak": "0 origins in two splits",
    "nothing_leaks": "curation.splits, curation.near_duplicates: 0 leaks",
    "has_every_split": "at least 1 clip in each split",
    "balance_as_asked": "curation.merge.max_source_fraction",
    "caps_as_asked": "curation.<stage>.max_source_fraction, max_action_fraction, max_synthetic_fraction",
    "official_tests_known": "0 lists missing",
    "learned": "finite losses, every file there",
    "report_holds": "digest equal",
    "bars_met": "evaluation.thresholds",
    "same_yardstick": "0 reports changed since",
}


@dataclass(frozen=True)
class Listed:
    """A check with the artefacts that it is asked of."""

    check: Check
    of: tuple[str, ...]
    holds_back: str
    threshold: str


def listed_checks(settings: Settings) -> list[Listed]:
    steps = steps_of(settings)
    found: dict[tuple[str, bool, str], list[Step]] = defaultdict(list)
    checks: dict[tuple[str, bool, str], Check] = {}
    for step in steps.values():
        for check in step.checks:
            key = (check.name, check.stops, check.asks)
            found[key].append(step)
            checks[key] = check
    return [
        Listed(checks[key], tuple(_patterns(mine)), _held_back(mine, steps) if key[1] else "nothing: a warning",
               _threshold(key[0]))
        for key, mine in found.items()
    ]  # fmt: skip


def _threshold(name: str) -> str:
    if name.endswith("_met"):
        return f"evaluation.thresholds.{name.removesuffix('_met')}"
    return THRESHOLDS.get(name, "stands beside the measured value")


def _patterns(mine: list[Step]) -> Iterator[str]:
    """Keys, with the data sets and the models folded."""
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for step in mine:
        prefix, _, leaf = step.key.partition("/")
        by_prefix[prefix].append(leaf)
    for prefix, leaves in by_prefix.items():
        yield f"{prefix}/*" if len(leaves) > 4 else ", ".join(f"{prefix}/{leaf}" for leaf in leaves)


def _held_back(mine: list[Step], steps: Steps) -> str:
    keys = {step.key for step in mine}
    below = [step for step in steps.values() if keys.intersection(step.parents)]
    if not below:
        return "nothing is downstream; the artefact is refused"
    return ", ".join(_patterns(below)) + " and all below"


def checks_page(settings: Settings, everything: bool = False) -> str:
    """The list as a table; `everything` keeps rows that a page of the UI would cut."""
    rows = [
        (one.check.name, ", ".join(one.of), one.check.asks, one.threshold, "stops" if one.check.stops else "warns", one.holds_back)
        for one in listed_checks(settings)
    ]
    columns = ("check", "of", "asks", "threshold", "severity", "holds back")
    parts = [rows[start : start + MOST_ROWS] for start in range(0, len(rows), MOST_ROWS)] if everything else [rows]
    first, *rest = [markdown(columns, part) for part in parts]
    return "\n".join([first, *("\n".join(text.splitlines()[2:]) for text in rest)])
