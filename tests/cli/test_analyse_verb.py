"""The verb: its folder of pages, its document, and every wrong use in one sentence with nothing written."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_json_documents import checked

from talkies.analysis import Analysis, analyse, page, write_analysis
from talkies.core import WorkError
from talkies.training import pretrain, resolve


@pytest.fixture(scope="module")
def made(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    """An analysis of the films by a run's encoders, and the folder of its pages."""
    found, place = analyse(workspace / "lib", workspace / "run"), tmp_path_factory.mktemp("made") / "analysis"
    assert write_analysis(found, place) == place / "index.html"
    return found, place


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, which take long to draw."""
    monkeypatch.setattr(page, "render_library_page", lambda found: "the library")
    monkeypatch.setattr(page, "render_film_page", lambda found, film: film.name)


def test_pages_have_their_figures_and_every_link_leads_somewhere(made: tuple[Analysis, Path]) -> None:
    found, place = made
    pages = [place / "index.html", *(place / film.page for film in found.films)]
    assert sorted(path for path in place.rglob("*") if path.is_file()) == sorted([place / "analysis.json", *pages])
    for path, figures in zip(pages, (2, 4, 4, 4), strict=True):
        text = path.read_text(encoding="utf-8")
        assert text.count("data:image/svg+xml;base64,") == figures
        links = re.findall(r"""(?:src|href)="(?!data:)([^"]+)""", text)
        assert all((path.parent / link).is_file() for link in links), links
    assert page.render_film_page(found, found.films[0]) == pages[1].read_text(encoding="utf-8")
    assert Analysis.model_validate_json((place / "analysis.json").read_text(encoding="utf-8")) == found


def test_the_verb_writes_what_it_prints_and_replaces_an_analysis(
    talkies: Callable[..., Any], workspace: Path, made: tuple[Analysis, Path], plain_pages: None, tmp_path: Path
) -> None:
    call = ("analyse", "--library", workspace / "lib", "--run", workspace / "run", "--out", tmp_path / "of")
    document = checked(talkies(*call, "--json"), "analyse")
    numbers = tmp_path / "of" / "analysis.json"
    assert json.loads(numbers.read_text()) == document == made[0].model_dump(mode="json")
    first = numbers.read_bytes()
    again = talkies(*call)
    assert again.status == 0, again.err
    assert document["advice"]["command"] in again.out
    assert again.err.strip().endswith(f"The pages: {tmp_path / 'of' / 'index.html'}")
    assert numbers.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["of"]


def test_what_is_advised_can_be_trained(workspace: Path, made: tuple[Analysis, Path], tmp_path: Path) -> None:
    words = shlex.split(made[0].advice.command)
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    small = ("training.steps=1", "loader.workers=0", "transforms.video.size=32")
    assert pretrain(workspace / "lib", resolve("tiny", [*sets, *small]), tmp_path / "run").steps == 1


def test_a_full_disk_is_failed_work_and_leaves_what_was_there(
    made: tuple[Analysis, Path], plain_pages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "of").mkdir()
    (tmp_path / "of" / "analysis.json").write_text("{}")
    monkeypatch.setattr(page, "flush", full)
    with pytest.raises(WorkError, match=r"of cannot be written \(no space left on device\); name another folder with"):
        write_analysis(made[0], tmp_path / "of")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["of", "of/analysis.json"]


WRONG = {
    "no such library": ("--library {t}/none", r"\S+/none does not exist; make a library with"),
    "no such run": ("--library {lib} --run {t}/none", r"\S+/none does not exist; make a run with"),
    "no checkpoint": ("--library {lib} --run {w}/begun-run", r"\S+/begun-run has no checkpoint; train it"),
    "a folder of something else": (
        "--library {lib} --out {w}/films",
        r"\S+/films exists and is not an analysis; name a",
    ),
    "a file": (
        "--library {lib} --out {w}/letter.mp4",
        r"\S+ exists and is not an analysis; name a new or empty folder",
    ),
    "a folder in none": ("--library {lib} --out {t}/none/of", r"\S+ cannot be made: the folder around it does not"),
    "a URL": (
        "--library memory://lib",
        r"memory://lib is a URL, and the pages need a folder of this machine; name one",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_use_is_one_sentence_and_nothing_is_written(
    wrong: str, talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    call, sentence = WRONG[wrong]
    before = sorted(workspace.rglob("*"))
    outcome = talkies("analyse", *call.format(t=tmp_path, w=workspace, lib=workspace / "lib").split())
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
    assert sorted(workspace.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []
