"""Former keys of configs: files that still use them are read, with one line of warning for each key."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from talkies.config.base import Config
from talkies.core import ConfigError

_LOG = logging.getLogger("talkies")


def update_keys(
    kind: type[BaseModel], values: Mapping[str, Any], where: str, *, warn: bool = True, prefix: str = ""
) -> dict[str, Any]:
    """Return `values` with every renamed key under its present name, and without the keys that were dropped.

    Args:
        kind: the config class that `values` belong to.
        values: keys and values as they were read; sections are mappings.
        where: the origin of `values`, for the warnings: `recipe old.yaml`.
        warn: whether to log a warning for each former key.
        prefix: the dotted path of the section, for the warnings: `optimiser.`.

    Raises:
        ConfigError: if a key is given under its former and its present name.
    """
    updated: dict[str, Any] = {}
    for key, value in values.items():
        name = _find_present_name(kind, key, where if warn else None, prefix)
        if name is None:
            continue
        if name != key and name in values:
            refuse_both(prefix + key, prefix + name, where)

        section = find_section(kind, name)
        if section is not None and isinstance(value, Mapping):
            value = update_keys(section, value, where, warn=warn, prefix=f"{prefix}{name}.")
        updated[name] = value
    return updated


def update_key(kind: type[BaseModel], key: str, where: str) -> str | None:
    """Return the present name of a dotted key, or None if it was dropped; a former key is warned about."""
    section: type[BaseModel] | None = kind
    names: list[str] = []
    for part in key.split("."):
        prefix = "".join(f"{name}." for name in names)
        name = _find_present_name(section, part, where, prefix) if section else part
        if name is None:
            return None
        names.append(name)
        section = find_section(section, name) if section else None
    return ".".join(names)


def refuse_both(former: str, present: str, where: str) -> None:
    """Refuse a value that is given under both of its names.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"{where}: '{former}' is the former name of '{present}', and both are given; keep only '{present}'"
    )


def find_section(kind: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the config class of the section `key`, or None if the key is a single value or unknown."""
    field = kind.model_fields.get(key)
    inner = field.annotation if field else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _find_present_name(kind: type[BaseModel], key: str, where: str | None, prefix: str) -> str | None:
    """Return the present name of a key of one section, None if it was dropped; warn about a former key if `where`."""
    if not issubclass(kind, Config):
        return key
    if key in kind.renamed_keys:
        name = kind.renamed_keys[key]
        if where:
            _LOG.warning("%s: '%s' is now called '%s'; use the new name", where, prefix + key, prefix + name)
        return name
    if key in kind.dropped_keys:
        if where:
            _LOG.warning("%s: '%s' is ignored: %s", where, prefix + key, kind.dropped_keys[key])
        return None
    return key
