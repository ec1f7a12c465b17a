"""Every import inside the package points down this table; nothing else is allowed."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PKG = "talkies"
ROOT = Path(__file__).parents[1] / "src" / PKG

BASE = {"core", "config"}
BELOW_STUDY = {
    "media",
    "library",
    "transforms",
    "models",
    "sampling",
    "distributed",
    "synth",
    "ingest",
    "objectives",
} | {"clips", "training", "embedding", "evaluation", "analysis"}
NOT_ROOMS = {"__init__", "__main__", "recipes"}  # `recipes` holds YAML files
MAY_IMPORT = {  # area -> areas it may import, besides itself
    "core": set(),
    "config": {"core"},
    "media": BASE,
    "library": BASE,
    "transforms": BASE,
    "models": BASE,
    "sampling": BASE,
    "distributed": {"core"},
    "synth": BASE | {"media"},
    "ingest": BASE | {"media", "library"},
    "objectives": BASE | {"distributed"},
    "clips": BASE | {"media", "library", "sampling", "transforms"},
    "training": BASE | {"clips", "transforms", "models", "objectives", "distributed"},
    "embedding": BASE | {"library", "media", "clips", "transforms", "models", "distributed"},
    "evaluation": BASE
    | {"library", "media", "clips", "transforms", "models", "objectives", "distributed", "training", "embedding"},
    "analysis": BASE | {"library", "embedding"},
    "export": BASE | {"library", "media", "clips", "transforms", "models", "embedding", "evaluation"},
    "web": BASE | {"library", "media", "embedding"},
    "study": BASE | BELOW_STUDY,
    "cli": BASE | BELOW_STUDY | {"study", "web", "export"},
}


def area_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_areas(path: Path):
    """Yield (line, area) for every import of this package, lazy ones included."""
    here = [PKG, *path.relative_to(ROOT).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level], *(node.module or "").split(".")] if node.level else [node.module]
            names = [".".join([*filter(None, base), alias.name]) for alias in node.names]
        else:
            continue
        for parts in (name.split(".") for name in names):
            if parts[0] == PKG and len(parts) > 1:
                yield node.lineno, parts[1]


def test_the_table_itself_has_no_cycle():
    order = list(TopologicalSorter(MAY_IMPORT).static_order())
    assert set(order) == set(MAY_IMPORT)


def test_every_area_is_in_the_table():
    areas = {area_of(path) for path in ROOT.rglob("*.py")} - NOT_ROOMS
    assert areas <= set(MAY_IMPORT), f"add to MAY_IMPORT: {sorted(areas - set(MAY_IMPORT))}"


def test_imports_point_down():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {area_of(path)} must not import {area}"
        for path in sorted(ROOT.rglob("*.py"))
        if area_of(path) in MAY_IMPORT
        for line, area in imported_areas(path)
        if area != area_of(path) and area not in MAY_IMPORT[area_of(path)]
    ]
    assert not wrong, "\n".join(wrong)
