"""Read a config from YAML, override single values by dotted keys, and check it: one plain sentence for each error."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from talkies.config.base import Config
from talkies.config.renamed import find_section, refuse_both, update_key, update_keys
from talkies.config.yaml import format_yaml, parse_yaml
from talkies.core import ConfigError, describe_os_error, suggest_nearest

C = TypeVar("C", bound=Config)


def list_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted keys of every single value of a config class, in order; former keys are not among them."""
    keys: list[str] = []
    for name in kind.model_fields:
        section = find_section(kind, name)
        if section is None:
            keys.append(prefix + name)
        else:
            keys += list_keys(section, f"{prefix}{name}.")
    return keys


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        ConfigError: if the file cannot be read, is not YAML, or does not hold a mapping.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a config: {_describe_read_error(error)}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values, got {type(document).__name__}")
    return document


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str], kind: type[BaseModel]) -> dict[str, Any]:
    """Return a copy of `values` in which each override `a.b=value` (the value is read as YAML) is set.

    Former keys are updated in `values` and in the overrides. Only those of the overrides are warned about here:
    `check` does it for `values`, whose origin it knows.

    Args:
        values: the config's values, as read from a file; a section is a mapping.
        overrides: lines `key=value`; a later one wins.
        kind: the config class that `values` belong to.

    Raises:
        ConfigError: if an override is not `key=value`, or `kind` has no such key (the nearest is named).
    """
    result = update_keys(kind, _copy_sections(values), "--set", warn=False)
    used: dict[str, str] = {}  # present name -> the name that an override used
    for override in overrides:
        written, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"an override is key=value, got '{override}'")

        key = update_key(kind, written, "--set")
        if key is None:
            continue
        if used.setdefault(key, written) != written:
            former = written if written != key else used[key]
            refuse_both(former, key, "--set")

        _check_known(key, kind)
        _set_value(result, key, _parse_value(key, text))
    return result


def check(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """Return `values` as a checked config.

    Args:
        kind: the config class; its former keys are still accepted, with a warning.
        values: keys and values as read from YAML; a section is a mapping.
        where: the origin of `values`, named in errors and warnings: `recipe old.yaml`.

    Raises:
        ConfigError: naming the first wrong key, what it got, and what is accepted.
    """
    present = update_keys(kind, values, where)
    try:
        return kind.model_validate(_lists_to_tuples(present))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_describe_first_error(error, kind)}") from error


def to_yaml(config: BaseModel) -> str:
    """Return a config as YAML that reads back as the same config."""
    return format_yaml(config.model_dump(mode="json"))


def _check_known(key: str, kind: type[BaseModel]) -> None:
    """Check that a config class has a dotted key.

    Raises:
        ConfigError: if it has not; the nearest known key is named.
    """
    known = list_keys(kind)
    if key not in known:
        hint = suggest_nearest(key, known) or f", known keys are {', '.join(known)}"
        raise ConfigError(f"unknown key '{key}' in --set{hint}")


def _parse_value(key: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"the value of --set {key} cannot be read, got '{text}'") from error


def _set_value(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested mappings, in place."""
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"'{parent}' must hold a mapping of keys to values, got {section!r}")
    section[last] = value


def _copy_sections(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy_sections(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _lists_to_tuples(value: Any) -> Any:
    """Return a value with YAML lists as tuples, at any depth, as strict fields require."""
    if isinstance(value, Mapping):
        return {key: _lists_to_tuples(each) for key, each in value.items()}
    return tuple(map(_lists_to_tuples, value)) if isinstance(value, list) else value


def _describe_first_error(error: ValidationError, kind: type[BaseModel]) -> str:
    """Return the first of pydantic's errors as one sentence."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            known = list_keys(kind)
            sections = {name.rpartition(".")[0] for name in known} - {""}
            return f"unknown key '{key}'{suggest_nearest(key, {*known, *sections})}"
        case "missing":
            return f"the key '{key}' is missing"
        case "value_error":
            return f"{key + ': ' if key else ''}{first['ctx']['error']}"
        case _:
            expected = first["msg"][:1].lower() + first["msg"][1:]
            return f"'{key}' got {first['input']!r}: {expected}"


def _describe_read_error(error: OSError | UnicodeDecodeError) -> str:
    return describe_os_error(error) if isinstance(error, OSError) else "it is not UTF-8 text"
