"""The registry of motion sources: one YAML a data set, checked, frozen, and known to everything by its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from stickgen_core.config import Section, config_hash, load, merge, read_yaml
from stickgen_core.errors import ConfigError

Retention = Literal["critical", "recommended", "optional", "discardable"]

# Rotation of the source's axes to right-handed Y up; proper rotations only, so that left stays left.
Axes = Literal["y_up", "z_up"]


class Licence(Section):
    """What may be done with the data; `share_derived` decides whether clips made from it may enter a bundle."""

    name: str
    url: str = ""
    share_derived: bool = False
    note: str = ""


class SourceSpec(Section):
    """One data set: how it is read, where it comes from, under which terms.

    Files of `configs/datasets/`; the file's stem is the name.

    unit_m        metres per unit of the files, none where the reader finds it out
    origin        the rule that names the performance a recording came from, from {source}, {key} and what the reader adds; data
                  sets that hold the same performances write the same name
    needs         data sets that this one builds on: an edge of the graph; without them it is absent
    needs_files   patterns of its own files without which it must not be read: without them it is absent
    splits        split -> file name of the authors' list
    """

    name: str = ""
    title: str
    reader: str
    kind: Literal["real", "synthetic"] = "real"
    profiles: tuple[str, ...] = ()
    axes: Axes = "y_up"
    fps: float | None = Field(default=None, gt=0)
    unit_m: float | None = Field(default=None, gt=0)
    skeleton: str = "smpl22"
    origin: str = "{source}/{key}"
    needs: tuple[str, ...] = ()
    needs_files: tuple[str, ...] = ()
    licence: Licence
    citation: str = ""
    register_at: str = ""
    layout: tuple[str, ...] = ()
    expected: Mapping[str, int] = Field(default_factory=dict)
    splits: Mapping[str, str] = Field(default_factory=dict)
    retention: Retention = "recommended"
    train_only: bool = False
    options: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("citation")
    @classmethod
    def _bibtex(cls, value: str) -> str:
        if value and not value.lstrip().startswith("@"):
            raise ValueError("expected BibTeX that starts with @")
        return value

    def origin_of(self, **names: object) -> str:
        """The origin id by the YAML's rule."""
        try:
            return self.origin.format(**{"source": self.name, **names})
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(f"{{{name}}}" for name in ("source", *names))
            raise ConfigError(f"configs/datasets/{self.name}.yaml: origin {self.origin!r}: {error}; it may use {known}") from None

    def digest(self) -> str:
        """Changes when anything a reader could see changes."""
        return config_hash(self)


def _read(path: Path, changes: Mapping[str, Any]) -> SourceSpec:
    values = merge({"name": path.stem, **read_yaml(path)}, changes)
    try:
        return load(SourceSpec, base=values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {str(error).removeprefix('SourceSpec: ')}") from None


def load_registry(
    folder: Path, profile: str | None = None, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, SourceSpec]:
    """Every data set of a folder by name, sorted; with a profile, only those meant for it (no list means all).

    changes   what a profile sets differently in a data set's YAML, such as the size of the synthetic one
    """
    specs, changes = {}, dict(changes or {})
    for path in sorted(folder.glob("*.yaml")):
        spec = _read(path, changes.pop(path.stem, {}))
        if spec.name != path.stem:
            raise ConfigError(f"{path}: name {spec.name!r} differs from the file's name")
        if profile is None or not spec.profiles or profile in spec.profiles:
            specs[spec.name] = spec
    if changes:
        raise ConfigError(f"datasets.{next(iter(changes))}: no such data set; {folder} has {', '.join(sorted(specs))}")
    if not specs:
        raise ConfigError(f"{folder}: no data set for profile {profile!r}; expected *.yaml files")
    for spec in specs.values():
        for need in spec.needs:
            if need not in specs:
                raise ConfigError(f"{folder / spec.name}.yaml: needs {need!r}, which is not a registered data set")
    return specs
