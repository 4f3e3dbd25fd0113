"""The action vocabulary: ids that never renumber, and the reviewed tables that map each source's own labels to them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from stickgen_core.config import Section, load
from stickgen_core.errors import ConfigError
from stickgen_core.records.digests import digest_json

UNKNOWN = -1
CONFIGS = Path(__file__).resolve().parents[2] / "configs"

Group = Literal[
    "locomotion", "posture", "gesture", "exercise", "acrobatics", "combat", "sport", "object", "interaction", "daily", "health", "dance",
]  # fmt: skip


class Action(Section):
    """One row of `configs/actions.yaml`."""

    id: int = Field(ge=0)
    name: str = Field(pattern=r"^[a-z]+(_[a-z]+)*$")
    group: Group
    definition: str
    ntu: tuple[int, ...] = ()
    babel: tuple[str, ...] = ()


@dataclass(frozen=True)
class Actions:
    """The whole vocabulary, in the order of its ids."""

    rows: tuple[Action, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, action: int) -> Action:
        return self.rows[action]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Name -> id."""
        return {row.name: row.id for row in self.rows}

    @cached_property
    def ntu(self) -> dict[int, int]:
        """NTU class number (1-based) -> id."""
        return {number: row.id for row in self.rows for number in row.ntu}

    @cached_property
    def babel(self) -> dict[str, int]:
        """BABEL category, in lower case -> id."""
        return {name.lower(): row.id for row in self.rows for name in row.babel}

    def id_of(self, name: str) -> int:
        if name not in self.ids:
            raise ConfigError(f"no action named {name!r} in configs/actions.yaml")
        return self.ids[name]

    def digest(self) -> str:
        return digest_json([row.model_dump(mode="json") for row in self.rows])


def load_actions(path: Path | None = None) -> Actions:
    """The vocabulary of a file, checked: ids 0, 1, 2 … in order, names and foreign categories given once."""
    path = path or CONFIGS / "actions.yaml"
    return _load(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=8)
def _load(path: Path, changed_ns: int) -> Actions:
    """A file is read again once it has changed: a daemon outlives an edit."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(found, list):
        raise ConfigError(f"{path}: expected a list of actions, found {type(found).__name__}")
    rows = tuple(_row(path, index, values) for index, values in enumerate(found))
    given: tuple[tuple[str, list[object]], ...] = (
        ("name", [row.name for row in rows]),
        ("NTU class", [number for row in rows for number in row.ntu]),
        ("BABEL category", [name.lower() for row in rows for name in row.babel]),
    )
    for field, values in given:
        repeated = {value for value in values if values.count(value) > 1}
        if repeated:
            raise ConfigError(f"{path}: {field} given twice: {', '.join(map(str, sorted(repeated, key=str)))}")
    return Actions(rows)


def _row(path: Path, index: int, values: Any) -> Action:
    try:
        row = Action.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"{path}: action {index}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    if row.id != index:
        raise ConfigError(f"{path}: row {index} has id {row.id}; ids are 0, 1, 2 … in order and never renumber")
    return row


class LabelTable(Section):
    """`configs/actions/<source>.yaml`: a source's own label, in lower case -> action name, reviewed by a person.

    exact     the whole label
    words     a whole word of the label (never part of one: "transition" is not "sit"); the first listed word wins
    unknown   labels that are known to have no action here, so that they are not reported as unmapped
    phrases   label -> what the person does, in the third person, for template texts
    """

    exact: Mapping[str, str] = Field(default_factory=dict)
    words: Mapping[str, str] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    phrases: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """A label table bound to the vocabulary."""

    exact: Mapping[str, int]
    words: Mapping[str, int]
    unknown: frozenset[str]
    phrases: Mapping[str, str]

    def digest(self) -> str:
        return digest_json([dict(self.exact), list(self.words.items()), sorted(self.unknown), dict(self.phrases)])

    def action(self, label: str) -> int:
        """The id for a label, or UNKNOWN."""
        return self.lookup([label])[0]

    def lookup(self, labels: Sequence[str]) -> tuple[int, list[str]]:
        """The first known action among labels, and those labels that no table mentions."""
        found, unmapped = UNKNOWN, []
        for label in labels:
            action = self._one(label)
            if action is None:
                unmapped.append(label)
            elif found == UNKNOWN:
                found = action
        return found, unmapped

    def _one(self, label: str) -> int | None:
        text = " ".join(label.lower().split())
        if text in self.exact:
            return self.exact[text]
        if text in self.unknown:
            return UNKNOWN
        # Camel case, digits and punctuation end a word: "JumpAndRoll01" has the words jump, and, roll.
        parts = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower()))
        return next((action for word, action in self.words.items() if word in parts), None)


def labels_for(source: str, actions: Actions | None = None, folder: Path | None = None) -> Labels:
    """The table of a source; a source without a file has an empty table."""
    actions = actions or load_actions()
    path = (folder or CONFIGS / "actions") / f"{source}.yaml"
    table = load(LabelTable, [path]) if path.exists() else LabelTable()
    for kind in (table.exact, table.words):
        for label, name in kind.items():
            if name not in actions.ids:
                raise ConfigError(f"{path}: {label!r} maps to {name!r}, which is no action of configs/actions.yaml")
    return Labels(
        exact={label.lower(): actions.ids[name] for label, name in table.exact.items()},
        words={word.lower(): actions.ids[name] for word, name in table.words.items()},
        unknown=frozenset(label.lower() for label in table.unknown),
        phrases={label.lower(): phrase for label, phrase in table.phrases.items()},
    )
