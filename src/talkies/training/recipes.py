"""Recipes: complete run configs, by the name of one that the package ships or from a YAML file."""

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from talkies.config import apply_overrides, check, read_yaml
from talkies.core import MODALITIES, ConfigError, suggest_nearest
from talkies.training.config import RunConfig

_SUFFIXES = (".yaml", ".yml")
_ANY_ENCODER = "tiny"


def list_recipes() -> list[str]:
    """Return the names of the recipes that the package ships."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files("talkies.recipes").iterdir() if entry.name.endswith(".yaml")
    )


def resolve(recipe: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the checked config of a recipe with overrides applied.

    Args:
        recipe: a recipe's name, or the path of a YAML file.
        overrides: lines `key=value` with dotted keys, as `--set` takes them.

    Raises:
        ConfigError: if there is no such recipe, or a key or a value is wrong.
    """
    origin = f"recipe {recipe}"
    values = _read_recipe(recipe)
    check(RunConfig, _fill_encoders(values), origin)
    overridden = apply_overrides(values, overrides, RunConfig)
    _check_encoders_are_named(overridden, origin)
    return check(RunConfig, overridden, "--set" if overrides else origin)


def _list_unnamed_encoders(values: Mapping[str, Any]) -> list[str]:
    """Return the keys of `model` with which a recipe leaves its encoders to be named: they are null."""
    model = values.get("model")
    return [key for key in MODALITIES if isinstance(model, Mapping) and key in model and model[key] is None]


def _fill_encoders(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with some encoder where a recipe names none, so that all others can be checked."""
    unnamed = _list_unnamed_encoders(values)
    return {**values, "model": {**values["model"], **dict.fromkeys(unnamed, _ANY_ENCODER)}} if unnamed else values


def _check_encoders_are_named(values: Mapping[str, Any], origin: str) -> None:
    """Check that both encoders are named.

    Raises:
        ConfigError: if the recipe names none and the overrides neither.
    """
    unnamed = _list_unnamed_encoders(values)
    if unnamed:
        named = " ".join(f"--set model.{key}=hf:FOLDER_OR_ID" for key in unnamed)
        raise ConfigError(f"{origin} trains with encoders that you name; add {named}")


def _read_recipe(recipe: str) -> dict[str, Any]:
    """Return the values of a recipe, as they are in its YAML file."""
    if recipe.endswith(_SUFFIXES) or "/" in recipe:
        return read_yaml(Path(recipe))

    names = list_recipes()
    if recipe not in names:
        raise ConfigError(
            f"no recipe '{recipe}'{suggest_nearest(recipe, names)}; there are: {', '.join(names)}, or name a YAML file"
        )
    with as_file(files("talkies.recipes") / f"{recipe}.yaml") as path:
        return read_yaml(path)
