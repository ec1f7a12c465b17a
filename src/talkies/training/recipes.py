"""Recipes: complete run configs, by the name of one that the package ships or from a YAML file."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from talkies.config import apply_overrides, check, read_yaml
from talkies.core import ConfigError, suggest_nearest
from talkies.training.config import RunConfig

_SUFFIXES = (".yaml", ".yml")


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
    check(RunConfig, values, origin)
    return check(RunConfig, apply_overrides(values, overrides, RunConfig), "--set" if overrides else origin)


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
