"""The public door: `import talkies` gives a few stable names, quickly, and says what a missing package needs."""

import subprocess
import sys
from pathlib import Path

import pytest

import talkies
from talkies.core import ConfigError
from talkies.core.extras import explain_missing_package
from talkies.training import resolve

NAMES = {
    "Library", "Searcher", "TalkiesError", "__version__", "analyse", "audit",
    "embed", "evaluate", "ingest", "load_encoder", "pretrain", "search",
}  # fmt: skip


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_these_and_each_is_there() -> None:
    assert set(talkies.__all__) == NAMES
    assert set(dir(talkies)) >= NAMES
    assert all(getattr(talkies, name) is not None for name in NAMES)


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'embedd'"):
        _ = talkies.embedd  # type: ignore[attr-defined]


def test_importing_talkies_imports_no_heavy_package() -> None:
    heavy = ("torch", "numpy", "av", "lancedb", "sklearn", "fastapi")
    loaded = run_python(f"import sys, talkies; print([name for name in {heavy!r} if name in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.slow
def test_a_function_stays_one_after_its_package_was_imported() -> None:
    program = "import talkies, talkies.ingestion, talkies.evaluation.audit; print(callable(talkies.ingest))"
    assert run_python(program).strip() == "True"


def test_the_version_has_one_source() -> None:
    from importlib.metadata import version

    assert talkies.__version__ == version("talkies")


@pytest.mark.parametrize(("package", "extra"), [("fastapi", "serve"), ("sklearn.svm", "evaluate")])
def test_a_missing_extra_is_told_in_one_sentence(package: str, extra: str) -> None:
    sentence = explain_missing_package(ModuleNotFoundError(name=package))
    assert sentence is not None
    assert sentence.endswith(f"pip install 'talkies[{extra}]'")
    assert explain_missing_package(ModuleNotFoundError(name="nowhere")) is None


@pytest.mark.slow
def test_what_the_package_does_without_extras_imports_none_of_theirs() -> None:
    hidden = "import sys; sys.modules |= dict.fromkeys(('sklearn', 'scipy', 'matplotlib', 'fastapi'))\n"
    modules = "talkies.ingestion, talkies.training, talkies.retrieval.search, talkies.export, talkies.cli.documents"
    assert run_python(f"{hidden}import {modules}; print('imported')").strip() == "imported"


def test_python_and_the_command_line_name_the_extra_that_is_missing() -> None:
    hidden = "import sys; sys.modules['sklearn'] = None\n"
    program = "import talkies\ntry: talkies.evaluate\nexcept ModuleNotFoundError as error: print(error)"
    assert "pip install 'talkies[evaluate]'" in run_python(hidden + program)
    command = (
        "sys.argv = ['talkies', 'audit', '--run', 'x', '--library', 'y']\nfrom talkies.cli.main import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", hidden + command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'talkies[evaluate]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_resolved_config_takes_no_overrides(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a resolved config was given; pass them to resolve"):
        talkies.pretrain(tmp_path, resolve("tiny"), tmp_path / "run", overrides=["training.steps=1"])
