"""Every import inside the package points down this table; nothing else is allowed."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PKG = "talkies"
ROOT = Path(__file__).parents[1] / "src" / PKG

VALUES = {"core", "config"}
BASE = VALUES | {"runtime"}
DATA = BASE | {"media", "library"}
CLIPS = DATA | {"sampling", "transforms", "clips"}
MODELS = CLIPS | {"models", "runs", "distributed"}
MAY_IMPORT = {  # package -> packages it may import, besides itself
    "core": set(),
    "config": {"core"},
    "runtime": {"core"},
    "reporting": {"core"},
    "distributed": {"core"},
    "media": BASE,
    "library": BASE,
    "synth": BASE | {"media"},
    "ingestion": DATA | {"reporting"},
    "sampling": VALUES,
    "transforms": VALUES,
    "models": VALUES,
    "objectives": VALUES | {"distributed"},
    "clips": CLIPS - {"clips"},
    "runs": CLIPS | {"models"},
    "training": MODELS | {"objectives"},
    "retrieval": MODELS | {"reporting"},
    "analysis": MODELS | {"reporting"},
    "evaluation": MODELS | {"reporting", "objectives", "training", "retrieval", "analysis"},
    "export": MODELS | {"retrieval", "evaluation"},
    "web": MODELS | {"retrieval"},
}
BELOW_STUDY = set(MAY_IMPORT) - {"web", "export"}
MAY_IMPORT["study"] = BELOW_STUDY
MAY_IMPORT["cli"] = BELOW_STUDY | {"study", "web", "export"}
NOT_LAYERED = {"__init__", "__main__", "recipes"}  # the public door, the launcher, and a folder of YAML files
MOST_FILES = 25


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


def module_of(path: Path) -> str:
    return ".".join([PKG, *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def imports_at_load(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of this package that `path` imports when it is loaded: not those inside functions."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    found = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PKG:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else str(node.module))
        waiting.extend(ast.iter_child_nodes(node))
    return found - {module_of(path)}


def test_the_table_itself_has_no_cycle():
    order = list(TopologicalSorter(MAY_IMPORT).static_order())
    assert set(order) == set(MAY_IMPORT)


def test_every_area_is_in_the_table():
    areas = {area_of(path) for path in ROOT.rglob("*.py")} - NOT_LAYERED
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


def test_no_module_imports_itself_by_a_detour():
    paths = {module_of(path): path for path in ROOT.rglob("*.py")}
    graph = {module: imports_at_load(path, set(paths)) for module, path in paths.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_no_package_has_more_files_at_one_level_than_a_reader_takes_in():
    folders = {path.parent for path in ROOT.rglob("*.py")}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: count for name, count in counts.items() if count > MOST_FILES} == {}
