"""The demonstration, on a tiny scale: every artefact, a page that stands alone, and a second walk that reuses all."""

import base64
import io
import json
import sys
import time
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from talkies import study
from talkies.cli.main import main
from talkies.study import DemoReport, DemoScale, build_demo_document, list_demo_rows, run_demo

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]  # what all look at is made once

SCALE = DemoScale(films=4, unseen_films=2, seconds=16.5, steps=1, workers=1)
DOCUMENTS = Path(__file__).parents[2] / "docs" / "json.md"


class Page(HTMLParser):
    """What a page shows and where it points."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if tag == "img" and name == "src":
                self.pictures.append(value or "")
            elif name in {"src", "href", "action", "srcset", "data", "poster"}:
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass(frozen=True)
class Walk:
    """One walk: its report, how long it took, and what it told."""

    report: DemoReport
    seconds: float
    told: list[tuple[str, int, int, str]]


def walk(workspace: Path) -> Walk:
    told: list[tuple[str, int, int, str]] = []
    begun = time.perf_counter()
    report = run_demo(workspace, SCALE, lambda *progress: told.append(progress))
    return Walk(report, time.perf_counter() - begun, told)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    return walk(tmp_path_factory.mktemp("demo") / "workspace")


@pytest.fixture(scope="module")
def page(first: Walk) -> Page:
    page = Page()
    page.feed(first.report.page.read_text(encoding="utf-8"))
    return page


def made(workspace: Path) -> dict[str, int]:
    """When each file was last written, but for the page and the catalogues, which are always made anew."""
    files = (path for path in workspace.rglob("*") if path.is_file())
    files = (path for path in files if path.name != "report.html" and path.parent.name != "catalogue")
    return {str(path.relative_to(workspace)): path.stat().st_mtime_ns for path in files}


def test_every_artefact_of_the_road_is_there(first: Walk) -> None:
    workspace = first.report.workspace
    for name in (
        "films/film-003.mp4",
        "films/truth.json",
        "unseen-films/film-001.mp4",
        "unseen-films/truth.json",
        "library/library.json",
        "library/catalogue/films.parquet",
        "unseen-library/library.json",
        "run/config.yaml",
        "run/metrics.jsonl",
        "run/checkpoints/step-00000000/model.safetensors",
        "run/checkpoints/step-00000001/model.safetensors",
        "report.html",
    ):
        assert (workspace / name).is_file(), name
    assert len(list((workspace / "library" / "films").glob("[!.]*"))) == 4
    assert len(list((workspace / "unseen-library" / "films").glob("[!.]*"))) == 2
    assert len(list((workspace / "unseen-library" / "index").glob("*.json"))) == 1
    assert not (workspace / "library" / "index").exists()


def test_the_unseen_films_are_no_films_that_were_learnt_from(first: Walk) -> None:
    seen, unseen = (
        {path.name for path in (first.report.workspace / name / "films").glob("[!.]*")}
        for name in ("library", "unseen-library")
    )
    assert seen.isdisjoint(unseen)


def test_trained_and_untrained_are_measured_by_one_protocol(first: Walk) -> None:
    report = first.report
    assert report.trained.keys() == report.untrained.keys() == {"retrieval", "synthetic-concepts"}
    for task, trained in report.trained.items():
        before, after = report.untrained[task].protocol, trained.protocol
        assert (before["checkpoint_step"], after["checkpoint_step"]) == (0, 1)
        differing = {key for key in after if before[key] != after[key]}
        assert differing == {"checkpoint_step", "model_stamp"}
    assert report.untrained["retrieval"].metrics != report.trained["retrieval"].metrics


def test_the_summary_has_untrained_trained_and_chance_side_by_side(first: Walk) -> None:
    rows = list_demo_rows(first.report)
    assert len({measure for measure, *_ in rows}) == len(rows) >= 8
    retrieval = first.report.trained["retrieval"]
    assert any(
        (trained, chance)
        == (
            f"{100 * retrieval.metrics['within_film_video_to_audio_recall_at_1'].mean:.1f} %",
            f"{100 * retrieval.protocol['chance']['within_film_video_to_audio_recall_at_1']:.1f} %",
        )
        for _, _, trained, chance in rows
    )


def test_one_search_goes_out_from_a_picture_and_one_from_a_sound(first: Walk) -> None:
    for side, found in first.report.searches.items():
        assert (found.result.query.from_, found.result.query.to) == (side, "video")
        assert len(found.result.hits) == len(found.hit_concepts) == 5
    assert first.report.searches.keys() == {"video", "audio"}


def test_every_stage_tells_its_progress_up_to_its_end(first: Walk) -> None:
    last = {stage: (done, total) for stage, done, total, _ in first.told}
    assert len(last) >= 10
    assert all(done == total for done, total in last.values())


def test_the_pictures_of_the_page_are_in_it_and_can_be_seen(page: Page) -> None:
    kinds = {"image/png": 0, "image/svg+xml": 0}
    for source in page.pictures:
        head, _, body = source.partition(";base64,")
        kind, data = head.removeprefix("data:"), base64.b64decode(body, validate=True)
        kinds[kind] += 1
        if kind == "image/png":
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                assert min(picture.size) >= 32
                assert picture.convert("L").getextrema() != (0, 0)
        else:
            assert ElementTree.fromstring(data).tag.endswith("svg")
    assert kinds["image/svg+xml"] >= 1  # the curves
    assert kinds["image/png"] >= 24  # frames and spectrogram of two queries and their five hits each


def test_the_page_points_to_nothing_outside_itself(page: Page, first: Walk) -> None:
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    outside = first.report.page.read_text(encoding="utf-8")
    for source in page.pictures:
        outside = outside.replace(source, "")
    assert "http://" not in outside
    assert "https://" not in outside
    assert "url(" not in outside
    assert "@import" not in outside


def test_the_page_shows_every_row_of_the_summary(page: Page, first: Walk) -> None:
    for row in list_demo_rows(first.report):
        assert all(cell in page.text for cell in row), row


def test_a_second_walk_reuses_what_is_there(first: Walk) -> None:
    before = made(first.report.workspace)
    second = walk(first.report.workspace)
    assert made(first.report.workspace) == before
    assert second.seconds < first.seconds / 2
    assert list_demo_rows(second.report) == list_demo_rows(first.report)
    notes = {stage: note for stage, _, _, note in second.told}
    assert notes["pre-train"] == notes["evaluate retrieval, trained"] == "already done"


def test_the_command_prints_the_document_that_is_written_down(
    first: Walk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = first.report.workspace
    monkeypatch.setattr(study, "run_demo", lambda folder, on_progress: run_demo(folder, SCALE, on_progress))
    monkeypatch.setattr(sys, "argv", ["talkies", "demo", "--workspace", str(workspace), "--json"])
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    document = json.loads(capsys.readouterr().out)
    assert document == build_demo_document(first.report)
    section = DOCUMENTS.read_text(encoding="utf-8").split("## `talkies demo`")[1]
    example = json.loads(section.split("```json")[1].split("```")[0])
    assert example.keys() == document.keys()
    assert [row.keys() for row in document["summary"]] == [example["summary"][0].keys()] * len(
        list_demo_rows(first.report)
    )
    for name in ("untrained", "trained", "same_concept_among_best_five"):
        assert example[name].keys() == document[name].keys(), name
