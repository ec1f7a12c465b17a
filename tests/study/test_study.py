"""A little study, end to end: every number of the page is a line of results.json, and a killed one goes on alike."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
import yaml
from little_study import LITTLE, little, tones
from PIL import Image

from talkies.cli.documents import study_document
from talkies.cli.main import main
from talkies.core import UsageError
from talkies.library import Library, write_json
from talkies.study import StudyResults, list_summary_rows, run_study
from talkies.study.films import FilmSet
from talkies.study.findings import Line, list_findings
from talkies.study.materials import MaterialFolders
from talkies.study.study import StudyRequest, _is_same_study
from talkies.study.summary import NumberFormatter

pytestmark = pytest.mark.kills

KNOWN = 9  # of twelve cells


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def results(root: Path) -> StudyResults:
    return run_study(root / "whole", little(), MaterialFolders(tones(root / "tones")), workers=1)


class Report(HTMLParser):
    """The numbers that name a line, all other text, and what the page points at."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.text = ""
        self._draw_line: str | None = None
        self._styles = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._styles = tag == "style"
        self._draw_line = given.get("data-line")
        self.links += [str(given[name]) for name in ("src", "href") if name in given]

    def handle_endtag(self, tag: str) -> None:
        self._draw_line, self._styles = None, False

    def handle_data(self, data: str) -> None:
        if self._styles:
            return
        if self._draw_line:
            self.numbers.append((self._draw_line, data))
        else:
            self.text += data


def test_every_number_of_the_page_is_a_line_of_the_results(root: Path, results: StudyResults) -> None:
    document = (root / "whole" / "results.json").read_text()
    lines = {}
    for line in document.splitlines():
        if line.startswith('  {"') and '"id"' in line:
            record = json.loads(line.removesuffix(","))
            lines[record["id"]] = record
    page = Report()
    page.feed((root / "whole" / "report.html").read_text())
    assert len(page.numbers) > 100
    for line, text in page.numbers:
        first = re.match(r"[+−]?\d+\.\d", text)
        assert first, text
        assert float(first[0].replace("−", "-")) == pytest.approx(100 * lines[line]["mean"], abs=0.0501)
    assert not re.findall(r"\d\s?%|\d points", page.text.replace("95 % interval", "")), "a number without its line"
    assert all(link.startswith("data:") for link in page.links)
    assert json.loads(document) == json.loads(results.model_dump_json())


def test_the_document_has_the_keys_that_are_written_down(results: StudyResults) -> None:
    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(text.split("## `talkies study`\n")[1].split("```json\n")[1].split("```")[0])
    document = study_document(results)
    assert document.keys() == example.keys()
    for part in ("arms", "cells", "summaries", "contrasts"):
        assert {frozenset(record) for record in document[part]} == {frozenset(example[part][0])}
    assert {frozenset(judged) for cell in document["cells"] for judged in cell["judged"]} == {
        frozenset(example["cells"][0]["judged"][0])
    }


def test_each_cell_saw_as_many_clips_and_was_judged_halfway_and_after(results: StudyResults) -> None:
    assert len(results.cells) == len(results.arms) * results.scale.film_sets == 12
    untrained = {arm["name"] for arm in results.arms if arm["measures_untrained"]}
    assert untrained == {"random_films-4_length-1", "random_films-4_length-1_cues-0"}
    for cell in results.cells:
        steps = [0, 2, 4] if cell.arm in untrained else [2, 4]
        assert [judged.step for judged in cell.judged] == steps
        assert [judged.clips_seen for judged in cell.judged] == [4 * step for step in steps]
        for judged in cell.judged:
            assert all(0 <= share <= 1 for share in judged.measures.values())
            for measure, shares in judged.of_films.items():
                assert len(shares) == 4
                assert sum(shares) / 4 == pytest.approx(judged.measures[measure])
        assert "sounds_accuracy" in cell.judged[-1].measures
        assert ("sounds_accuracy_statistics" in cell.judged[0].measures) is (steps[0] == 0)
        assert cell.last["loss"] > 0


def test_film_sets_have_films_of_their_own_and_arms_of_a_set_the_same(root: Path, results: StudyResults) -> None:
    truths = [
        (root / "whole" / "films" / f"set-{number}" / "plain" / side / "truth.json").read_text()
        for number in range(2)
        for side in ("seen", "unseen")
    ]
    assert len(set(truths)) == 4
    assert {cell.film_set for cell in results.cells} == {0, 1}
    fingerprints = [cell.fingerprint for cell in results.cells]
    assert len(set(fingerprints)) == len(fingerprints), "other films, numbers of films or samplings: another trial"


def test_fewer_films_are_the_first_of_the_set(root: Path, results: StudyResults) -> None:
    films = FilmSet.of(root / "whole", 0, "plain", results.scale)
    names = {film.film_id: film.name for film in Library.open(films.library).usable_films()}
    assert [names[film_id] for film_id in films.list_first_films(4)] == [
        f"film-{number:03d}.mp4" for number in range(4)
    ]
    assert len(names) == 6


def test_figures_are_there_as_png_and_svg(root: Path, results: StudyResults) -> None:
    folder = root / "whole" / "figures"
    names = {path.stem for path in folder.iterdir()}
    assert names == {"map", "identity", "claim", "control"}
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 800
        assert "<svg" in (folder / f"{name}.svg").read_text()[:1000]


def test_all_findings_name_lines_that_are_there(results: StudyResults) -> None:
    numbers = NumberFormatter(results)
    findings = list_findings(results)
    assert [finding.figure for finding in findings] == ["claim", "control", "identity"]
    for finding in findings:
        for sentence in finding.sentences:
            assert all(part.id in numbers for part in sentence if isinstance(part, Line))
            assert numbers.format_sentence(sentence).strip()
    assert [row[:3] for row in list_summary_rows(results)] == [
        (films, "2 clips of a film − other films", f"concept from {sense}")
        for films in ("4 films", "6 films")
        for sense in ("pictures", "sound")
    ]


def test_a_killed_study_goes_on_and_comes_to_the_same(root: Path, results: StudyResults) -> None:
    out, recipe = root / "killed", root / "little.yaml"
    recipe.write_text(yaml.safe_dump(LITTLE))
    shutil.copytree(root / "whole" / "films", out / "films")  # the films are there: what is killed is the training
    shutil.copy(root / "whole" / "study.json", out / "study.json")
    finished = sorted((root / "whole" / "cells").glob("*.json"))[:KNOWN]  # to be killed in the middle, and not for ever
    (out / "cells").mkdir()
    for cell in finished:
        shutil.copy(cell, out / "cells")
    command = [sys.executable, "-m", "talkies", "study", "--out", out, "--scale", recipe, "--sounds", root / "tones"]
    process = subprocess.Popen([*command, "--workers", "1", "--resume"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(list(out.glob("cells/*.json"))) == KNOWN and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert KNOWN < len(list(out.glob("cells/*.json"))) < len(results.cells)
    time.sleep(1.5)  # its processes end within a second
    done = {path: path.stat().st_mtime_ns for path in out.glob("cells/*.json")}
    again = run_study(out, little(), MaterialFolders(root / "tones"), resume=True, workers=1)
    assert again.cells == results.cells
    assert again.summaries == results.summaries
    assert again.contrasts == results.contrasts
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what is done is not done again"
    assert not list((out / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "smal"], "did you mean 'small'?"),
        (["--scale", "small", "--resume"], "holds no study to continue"),
        (["--scale", "small", "--film-sets", "1"], "greater than or equal to 2"),
        (["--scale", "composed"], "give --sounds or --actions, and films for --background"),
        (["--sounds", "nowhere"], "nowhere"),
        pytest.param(
            ["--scale", "gpu"],
            "cuda",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is what the scale asks for"),
        ),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(
    tmp_path: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["talkies", "study", "--out", str(tmp_path / "out"), *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_study_may_get_more_film_sets_and_not_fewer(tmp_path: Path) -> None:
    path, begun = tmp_path / "study.json", StudyRequest.of(little(film_sets=3), MaterialFolders())
    write_json(path, begun)
    assert _is_same_study(path, StudyRequest.of(little(film_sets=5), MaterialFolders()))
    assert not _is_same_study(path, StudyRequest.of(little(film_sets=2), MaterialFolders()))
    assert not _is_same_study(path, StudyRequest.of(little(film_sets=5, steps=8), MaterialFolders()))
    assert not _is_same_study(path, StudyRequest.of(little(film_sets=3), MaterialFolders(sounds=tmp_path)))


def test_a_folder_of_another_study_is_refused(root: Path, results: StudyResults) -> None:
    with pytest.raises(UsageError, match="continue it with --resume"):
        run_study(root / "whole", little())
    with pytest.raises(UsageError, match="another scale or other materials"):
        run_study(root / "whole", little(steps=8), resume=True)
