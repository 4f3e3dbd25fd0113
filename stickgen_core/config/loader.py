"""YAML files and dotted overrides, merged in order, validated once into a frozen model with a stable hash."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stickgen_core.errors import ConfigError


class Section(BaseModel):
    """A frozen part of the configuration; a key that no field declares is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


S = TypeVar("S", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where plain YAML would silently keep the last."""


def _mapping_without_repeats(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} given twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - derived from SafeLoader
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}:{line} not valid YAML: {problem}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, found {type(found).__name__}")
    return found


def parse_override(text: str) -> tuple[list[str], Any]:
    """`training.learning_rate=0.001` -> (["training", "learning_rate"], 0.001); the value is JSON, else a plain string."""
    dotted, equals, raw = text.partition("=")
    if not equals or not all(dotted.split(".")):
        raise ConfigError(f"override {text!r}: expected section.key=value")
    try:
        return dotted.split("."), json.loads(raw)
    except json.JSONDecodeError:
        return dotted.split("."), raw


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge of mappings; lists and scalars of `over` replace those of `base`."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def load(model: type[S], files: Iterable[Path] = (), overrides: Iterable[str] = (), base: Mapping[str, Any] | None = None) -> S:
    """Merge `base`, then the files in order, then `section.key=value` overrides, and validate the result once."""
    values: dict[str, Any] = dict(base or {})
    names = []
    for path in files:
        values = merge(values, read_yaml(path))
        names.append(str(path))
    for text in overrides:
        keys, value = parse_override(text)
        for key in reversed(keys):
            value = {key: value}
        values = merge(values, value)
        names.append(text)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{' + '.join(names) or model.__name__}: {_first_problem(model, error)}") from None


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    # A misspelt key is also a missing one: the spelling is what the person must see.
    problem = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in problem["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_did_you_mean(model, problem['loc'])}{more}"
    if problem["type"] == "missing":
        return f"missing key {where!r}{more}"
    return f"{where or 'value'}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, found {problem['input']!r}{more}"


def _did_you_mean(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The nearest valid name at that place, else the whole tree's keys by leaf name."""
    siblings = _fields_at(model, location[:-1])
    wanted = str(location[-1])
    near = difflib.get_close_matches(wanted, siblings, n=1, cutoff=0.6)
    if near:
        prefix = ".".join(str(part) for part in location[:-1])
        return f" (did you mean {'.'.join(filter(None, [prefix, near[0]]))!r}?)"
    return f" (valid here: {', '.join(sorted(siblings))})" if siblings else ""


def _fields_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        model = _step(model, part)
    return list(getattr(model, "model_fields", {}) or {})


def _step(annotation: Any, part: int | str) -> Any:
    """The annotation one step down: a model's field, or the value type of a mapping, list or optional."""
    fields = getattr(annotation, "model_fields", None)
    if fields and part in fields:
        return _unwrap(fields[part].annotation)
    return _unwrap(annotation)


def _unwrap(annotation: Any) -> Any:
    arguments = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
    return _unwrap(arguments[-1]) if arguments else annotation


def dump_yaml(config: BaseModel) -> str:
    """The resolved configuration, every default written out, in declaration order.

    Other scripts are escaped: YAML folds some of their characters, such as U+0085, when they stand unescaped.
    """
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, width=120)


def config_hash(config: BaseModel) -> str:
    """SHA-256 of the resolved values as canonical JSON: the same for any file layout, order or override that gives them."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
