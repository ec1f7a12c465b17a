"""Recipes: complete run configs, by the name of one that the package ships or from a YAML file."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from talkies.config import apply_overrides, check, read_yaml
from talkies.core import ConfigError, suggest_nearest
from talkies.training.config import RunConfig

_SUFFIXES = (".yaml", ".yml")


def recipe_names() -> list[str]:
    """Return the names of the recipes that the package ships."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files("talkies.recipes").iterdir() if entry.name.endswith(".yaml")
    )


def resolve(recipe: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the checked config of a recipe (a name, or a path to a YAML file) with overrides `key=value` applied.

    Raises:
        ConfigError: if there is no such recipe, or a key or a value is wrong.
    """
    if recipe.endswith(_SUFFIXES) or "/" in recipe:
        values = read_yaml(Path(recipe))
    elif recipe in recipe_names():
        with as_file(files("talkies.recipes") / f"{recipe}.yaml") as path:
            values = read_yaml(path)
    else:
        known = recipe_names()
        raise ConfigError(
            f"no recipe '{recipe}'{suggest_nearest(recipe, known)}; there are: {', '.join(known)}, or name a YAML file"
        )
    check(RunConfig, values, f"recipe {recipe}")
    return check(RunConfig, apply_overrides(values, overrides, RunConfig), "--set" if overrides else f"recipe {recipe}")
