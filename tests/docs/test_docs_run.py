"""Every code block of README.md and docs/ runs, but for those that say why not."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blocks import JSON, PAGES, PYTHON, ROOT, SHELL, YAML, Block, blocks_of
from running import call, check_options, run_python, talkies_of
from typer.main import get_command

from talkies.cli.main import app
from talkies.ingestion import ingest
from talkies.retrieval.index import embed
from talkies.synth import SynthConfig, render_films
from talkies.training import resolve

pytestmark = pytest.mark.slow

NAMES = ("big_buck_bunny.mp4", "sintel_trailer.mp4", "tears_of_steel.mp4")
FRESH = ("README.md", "docs/tutorial.md")  # they begin with films alone, and make the rest themselves
# A command of these that ran on one page need not run on another; nor need an ingest whose library nobody uses there.
ONCE = ("analyse", "audit", "doctor", "cost")
# Why blocks are not run; a new reason is written here, and whoever reads it may think of a way to run them.
REASONS = {
    "installs": 4,
    "takes longer than a test may": 5,
    "needs a data set": 4,
    "needs a CUDA device": 1,
    "needs several machines": 9,
    "a synopsis": 2,
    "downloads weights": 10,
}
_RUN = [page for page in PAGES if any(block.kind in (SHELL, PYTHON) for block in blocks_of(page))]


@pytest.fixture(scope="module")
def made(films: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films under the names of the docs, a library of them, and a run that embedded it; read only."""
    root = tmp_path_factory.mktemp("docs")
    render_films(
        root / "FILMS", 1, SynthConfig(seconds=24.0, shot_seconds_min=4.0, shot_seconds_max=6.0), seed=9
    )  # long enough to be analysed
    (root / "FILMS" / "film-000.mp4").rename(root / "FILMS" / NAMES[0])
    (root / "FILMS" / "truth.json").unlink()
    for source, name in zip(sorted(films.glob("*.mp4"))[:2], NAMES[1:], strict=True):
        shutil.copy(source, root / "FILMS" / name)
    ingest([root / "FILMS"], root / "LIB")
    shutil.copytree(run, root / "RUN")
    embed(root / "LIB", root / "RUN")
    return root


@pytest.fixture(scope="module")
def ran_once() -> list[list[str]]:
    """The commands that have succeeded so far."""
    return []


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A function from a page's name to the folder in which its blocks run, the current one from then on."""

    def enter(page: str) -> Path:
        shutil.copytree(made / "FILMS", tmp_path / "FILMS")
        if page not in FRESH:
            shutil.copytree(made / "FILMS", tmp_path / "films")
            for name in ("LIB", "library"):
                shutil.copytree(made / "LIB", tmp_path / name)
            shutil.copytree(made / "RUN", tmp_path / "RUN")
        shutil.copy(tmp_path / "FILMS" / NAMES[0], tmp_path / "storm.mp4")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("talkies.clips.doctor._MEASURED_SECONDS", 0.2)
        return tmp_path

    return enter


@pytest.mark.slow
@pytest.mark.parametrize("page", _RUN, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_from_top_to_bottom(
    page: Path, place: Callable[[str], Path], ran_once: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = page.relative_to(ROOT).as_posix()
    place(name)
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.not_run:
            continue
        try:
            if block.kind == SHELL:
                for words in block.commands:
                    if name not in FRESH and words in ran_once and (words[1] in ONCE or _is_unused(words, page)):
                        continue
                    call(words, monkeypatch)
                    ran_once.append(words)
            elif block.kind == PYTHON:
                run_python(block, names)
        except Exception as error:
            error.add_note(f"in the block at {block.where}")
            raise


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_documents_and_recipes_are_ones(page: Path, tmp_path: Path) -> None:
    for block in blocks_of(page):
        if block.kind == JSON:
            json.loads(block.text)
        elif block.kind == YAML:
            (tmp_path / "mine.yaml").write_text(block.text)
            resolve(str(tmp_path / "mine.yaml"), [])


def test_what_is_not_run_says_why_and_has_options_that_there_are() -> None:
    left = [block for page in PAGES for block in blocks_of(page) if block.not_run]
    for block in left:
        assert block.kind in (SHELL, PYTHON), f"{block.where} is nothing to run"
        for words in block.commands if block.kind == SHELL else []:
            check_options(words)
    counts = Counter(_reason(block) for block in left)
    assert dict(counts) == REASONS, "\n".join(f"{block.where}: {block.not_run}" for block in left)


def test_every_verb_is_shown_in_the_how_to() -> None:
    command: Any = get_command(app)
    verbs = list(command.commands)
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    heads = [line.removeprefix("## `").partition("`")[0] for line in text.splitlines() if line.startswith("## `")]
    assert heads == verbs
    shown = {words[0] for block in blocks_of(ROOT / "docs" / "how-to.md") for words in _talkies(block)}
    assert shown >= set(verbs)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\((?!http)([^)]+)\)", prose):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
                assert anchor in slugs, f"{page.name}: {link}"


def _reason(block: Block) -> str:
    for reason in REASONS:
        if (block.not_run or "").startswith(reason):
            return reason
    return block.not_run or ""


def _is_unused(words: list[str], page: Path) -> bool:
    """Whether a command makes a library that nothing else on the page names."""
    if words[1] != "ingest":
        return False
    library = words[words.index("--library") + 1]
    return page.read_text(encoding="utf-8").count(f"--library {library}") == 1


def _talkies(block: Block) -> list[list[str]]:
    return [found for words in block.commands if (found := talkies_of(words))] if block.kind == SHELL else []
