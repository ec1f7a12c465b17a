"""Read a config from YAML, override single values by dotted keys, and check it: one plain sentence for each fault."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from talkies.config.base import Config
from talkies.config.yaml import format_yaml, parse_yaml
from talkies.core import ConfigError, describe_os_error, suggest_nearest

C = TypeVar("C", bound=Config)


def known_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted keys of every single value of a config class, in order."""
    keys: list[str] = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += known_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        ConfigError: if the file cannot be read, is not YAML, or is no mapping.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a config: {_reason(error)}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values, got {type(document).__name__}")
    return document


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str], kind: type[BaseModel]) -> dict[str, Any]:
    """Return a copy of `values` in which each override `a.b=value` (the value read as YAML) is set.

    Raises:
        ConfigError: if an override is not `key=value`, or `kind` has no such key (the nearest is named).
    """
    known = known_keys(kind)
    result = _copied(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"an override is key=value, got '{override}'")
        if key not in known:
            hint = suggest_nearest(key, known) or f", known keys are {', '.join(known)}"
            raise ConfigError(f"unknown key '{key}' in --set{hint}")
        try:
            value = parse_yaml(text)
        except ValueError as error:
            raise ConfigError(f"the value of --set {key} cannot be read, got '{text}'") from error
        *parents, last = key.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"'{parent}' must hold a mapping of keys to values, got {inner!r}")
        inner[last] = value
    return result


def check(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """Return `values` as a checked config of `kind`; `where` names their origin in the sentence of a fault.

    Raises:
        ConfigError: naming the first key at fault, what it got, and what is accepted.
    """
    try:
        return kind.model_validate(_lists_as_tuples(kind, values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_sentence(error, kind)}") from error


def to_yaml(config: BaseModel) -> str:
    """Return a config as YAML that reads back as the same config."""
    return format_yaml(config.model_dump(mode="json"))


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _lists_as_tuples(kind: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with YAML lists as tuples, which strict fields want."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        field = kind.model_fields.get(key)
        inner = field.annotation if field else None
        if isinstance(value, Mapping) and isinstance(inner, type) and issubclass(inner, BaseModel):
            result[key] = _lists_as_tuples(inner, value)
        else:
            result[key] = tuple(value) if isinstance(value, list) else value
    return result


def _sentence(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            known = known_keys(kind)
            parents = {name.rpartition(".")[0] for name in known} - {""}
            return f"unknown key '{key}'{suggest_nearest(key, {*known, *parents})}"
        case "missing":
            return f"the key '{key}' is missing"
        case "value_error":
            return f"{key + ': ' if key else ''}{first['ctx']['error']}"
        case _:
            expected = first["msg"][:1].lower() + first["msg"][1:]
            return f"'{key}' got {first['input']!r}: {expected}"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return describe_os_error(error) if isinstance(error, OSError) else "it is not UTF-8 text"
