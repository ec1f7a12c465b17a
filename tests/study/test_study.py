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
from talkies.study import StudyResults, list_summary_rows, run_study
from talkies.study.findings import Line, list_findings
from talkies.study.summary import NumberFormatter

pytestmark = pytest.mark.kills

KNOWN = 9  # of fourteen cells


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def results(root: Path) -> StudyResults:
    return run_study(root / "whole", little(), tones(root / "tones"), workers=1)


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
    assert len(page.numbers) > 60
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
    for part in ("arms", "cells", "summaries", "comparisons", "changes"):
        assert {frozenset(record) for record in document[part]} == {frozenset(example[part][0])}
    assert {frozenset(judged) for cell in document["cells"] for judged in cell["judged"]} == {
        frozenset(example["cells"][0]["judged"][0])
    }


def test_each_cell_saw_as_many_clips_and_was_judged_before_halfway_and_after(results: StudyResults) -> None:
    assert len(results.cells) == sum(arm["seeds"] for arm in results.arms) == 14
    for cell in results.cells:
        assert [judged.step for judged in cell.judged] == [0, 2, 4]
        assert [judged.clips_seen for judged in cell.judged] == [0, 8, 16]
        for judged in cell.judged:
            assert all(0 <= share <= 1 for share in judged.measures.values())
        assert cell.curves["loss"].steps == (1, 2, 3, 4)
    of_sounds = [cell for cell in results.cells if "recordings" in cell.arm]
    assert len(of_sounds) == 4
    assert all("sounds_accuracy" in cell.judged[-1].measures for cell in of_sounds)
    assert all("sounds_accuracy_statistics" in cell.judged[-1].measures for cell in of_sounds)


def test_seeds_differ_and_arms_of_a_seed_begin_alike(results: StudyResults) -> None:
    first = {(cell.arm, cell.seed): cell.judged[0].measures for cell in results.cells}
    assert first["random", 0] == first["within", 0]
    assert first["random", 0] != first["random", 1]


def test_figures_are_there_as_png_and_svg(root: Path, results: StudyResults) -> None:
    folder = root / "whole" / "figures"
    names = {path.stem for path in folder.iterdir()}
    assert {"pair", "policies", "shortcut", "marks", "length", "losses", "sounds"} <= names
    assert {"diversity", "batch", "grid"}.isdisjoint(names), "no arm is of these"
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.width > 800
        assert "<svg" in (folder / f"{name}.svg").read_text()[:1000]


def test_all_findings_name_lines_that_are_there(results: StudyResults) -> None:
    numbers = NumberFormatter(results)
    findings = list_findings(results)
    assert {finding.figure for finding in findings} >= {"pair", "shortcut", "marks", "length", "sounds"}
    for finding in findings:
        for sentence in finding.sentences:
            assert all(part.id in numbers for part in sentence if isinstance(part, Line))
            assert numbers.format_sentence(sentence).strip()
    assert [row[0] for row in list_summary_rows(results)] == ["untrained", "random films", "within films", "chance"]


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
    again = run_study(out, little(), root / "tones", resume=True, workers=1)
    assert again.cells == results.cells
    assert again.summaries == results.summaries
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what is done is not done again"
    assert not list((out / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "smal"], "did you mean 'small'?"),
        (["--scale", "small", "--resume"], "holds no study to continue"),
        (["--scale", "small", "--seeds", "1"], "greater than or equal to 2"),
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


def test_a_folder_of_another_study_is_refused(root: Path, results: StudyResults) -> None:
    with pytest.raises(UsageError, match="continue it with --resume"):
        run_study(root / "whole", little())
    with pytest.raises(UsageError, match="another scale or other sounds"):
        run_study(root / "whole", little(steps=8), resume=True)
