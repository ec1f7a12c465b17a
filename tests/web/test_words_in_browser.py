"""Words on the page, in a real browser: typed, combined with a moment, kept in the address; and sets without words."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browsing import PATIENCE_MS, Watch, find_serious_violations, read_hits, run_server
from playwright.sync_api import Browser, Page, expect, sync_playwright

from talkies.core import Float32s, Modality
from talkies.library import Library
from talkies.retrieval.index import VectorIndex
from talkies.retrieval.search import Searcher

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
MOMENTS = {"a train passes": 5, "rain": 20}  # the row that the made-up model's words are like


@dataclass(frozen=True)
class Worded:
    """A server of rendered films with three sets: of a model with words, without, and of pictures only."""

    url: str
    films: tuple[str, ...]
    words: str
    silent: str = "bbbbbbbbbbbb"
    pictures: str = "cccccccccccc"


@pytest.fixture(scope="module")
def worded(served_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worded]:
    library = Library.open(Path(shutil.copytree(served_library.root, tmp_path_factory.mktemp("words") / "lib")))
    index = VectorIndex(library)
    entry = index.choose()
    rows = index.read_rows(entry.stamp)
    for stamp, dims in (("bbbbbbbbbbbb", entry.dims), ("cccccccccccc", {**entry.dims, "audio": 0})):
        run = f"video=hf:/models/{stamp}"
        index.create_or_resume(entry.model_copy(update={"stamp": stamp, "dims": dims, "run": run, "step": 0}))
        parts = [rows.get_vectors(modality)[:, : dims[modality]] for modality in ("video", "audio")]
        columns = (rows.film_B, rows.start_B, rows.end_B, rows.shot_B, rows.of_shot_B)
        index.add(stamp, type(rows)(*columns, *parts))
    path = index.folder / f"{entry.stamp}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"text": ["video", "audio"]}))
    os.utime(path)  # the newest set is the one that is shown

    def encode_text(_: Searcher, text: str, modality: Modality) -> Float32s:
        row = rows.get_vectors(modality)[MOMENTS.get(text, 0)]
        return np.asarray(0.3 * row + 0.7 * np.roll(row, 1), np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searcher, "encode_text", encode_text)
        with run_server(library.root) as url:
            yield Worded(url, tuple(film.film_id for film in library.usable_films()), entry.stamp)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        message = "no chromium on this machine"
        if os.environ.get("TALKIES_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, worded: Worded) -> Iterator[Page]:
    """A page in a fresh profile; foreign requests and console errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(context, worded.url)
    yield context.new_page()
    context.close()
    assert watch.list_foreign_requests() == []
    assert watch.complaints == []


def test_words_are_typed_searched_shared_and_changed(page: Page, worded: Worded) -> None:
    page.goto(worded.url)
    expect(page.locator(".view-head")).to_contain_text("model: run, step 2")
    page.keyboard.press("w")
    expect(page.get_by_label("In words")).to_be_focused()
    page.keyboard.type("a train passes")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?text=a\+train\+passes$"))
    expect(page.locator(".results-summary")).not_to_contain_text("Searching")
    page.goto(f"{page.url}&floor=false")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator(".query")).to_be_hidden()
    expect(page.locator(".filters fieldset", has_text="Ask with")).to_be_hidden()
    expect(page.locator(".query-model")).to_have_text("Model: run, step 2")
    hits = read_hits(page)
    page.reload()
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.get_by_label("In words")).to_have_value("a train passes")
    assert read_hits(page) == hits

    page.get_by_label("But not").fill("rain")
    page.get_by_label("But not").press("Enter")
    page.wait_for_url(re.compile("not=rain"))
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator(".filters input[name=floor], .check input").first).to_be_checked()  # the filters stay
    page.go_back()
    expect(page.get_by_label("But not")).to_have_value("")
    assert read_hits(page) == hits

    page.locator(".hit").first.get_by_role("link", name="Open in film").click()
    expect(page.locator(".timeline-note").last).to_contain_text("compares each moment with “a train passes”")


def test_words_are_combined_with_a_moment(page: Page, worded: Worded) -> None:
    page.goto(f"{worded.url}/#/search?film={worded.films[0]}&at=3&floor=false")
    expect(page.locator(".hit").first).to_be_visible()
    alone = read_hits(page)
    page.get_by_label("In words").fill("rain")
    with page.expect_response(re.compile(r"/api/search\?.*text=rain")) as answered:
        page.get_by_role("button", name="Search in words").click()
    query = answered.value.json()["query"]
    assert (query["film"], query["text"], query["at"]) == (worded.films[0], ["rain"], 3.0)
    expect(page.locator(".query-name")).to_contain_text("0:03")
    expect(page.locator(".hit").first).to_be_visible()
    assert read_hits(page) != alone
    page.get_by_label("In words").fill("")
    page.get_by_role("button", name="Search in words").click()
    page.wait_for_url(lambda url: "text=" not in url)
    expect(page.locator(".hits.is-waiting")).to_have_count(0)
    assert read_hits(page) == alone


def test_a_set_without_words_says_so_and_another_can_be_chosen(page: Page, worded: Worded) -> None:
    page.goto(f"{worded.url}/#/?model={worded.silent}")
    expect(page.locator(".words-none")).to_contain_text("cannot be searched by words, because it has no text encoder")
    expect(page.get_by_label("In words")).to_have_count(0)
    page.get_by_role("combobox", name="Model").select_option(worded.words)
    expect(page.get_by_label("In words")).to_be_visible()
    expect(page.locator(".view-head")).to_contain_text("model: run, step 2")


def test_a_set_of_pictures_offers_no_sounds(page: Page, worded: Worded) -> None:
    model = f"model={worded.pictures}"
    page.goto(f"{worded.url}/#/search?film={worded.films[0]}&at=3&floor=false&{model}")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.get_by_role("link", name="More like this by sound")).to_have_count(0)
    for name in ("from", "to"):
        expect(page.locator(f".filters input[name={name}][value=audio]")).to_be_disabled()
        expect(page.locator(f".filters input[name={name}][value=video]")).to_be_checked()
    page.goto(f"{worded.url}/#/film/{worded.films[0]}?at=3&{model}")
    expect(page.locator(".track-name", has_text="Similar picture elsewhere")).to_have_count(1)
    expect(page.locator(".track-name", has_text="Similar sound elsewhere")).to_have_count(0)
    page.goto(f"{worded.url}/#/map?side=audio&{model}")
    expect(page.locator(".legend-film").first).to_be_visible()
    expect(page.locator("input[name=side][value=video]")).to_be_checked()
    expect(page.locator("input[name=side][value=audio]")).to_be_disabled()


@pytest.mark.parametrize("path", ["", "#/?model=bbbbbbbbbbbb", "#/search?text=rain&not=fire&floor=false"])
def test_the_form_is_accessible_light_and_dark_and_fits_a_phone(page: Page, worded: Worded, path: str) -> None:
    page.goto(f"{worded.url}/{path}")
    expect(page.locator(".words, .words-none").first).to_be_visible()
    assert find_serious_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert find_serious_violations(page, only="color-contrast") == []
    page.set_viewport_size(PHONE)
    assert find_serious_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    folder = os.environ.get("TALKIES_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{re.sub(r'[^a-z]+', '-', path)}-phone.png")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.screenshot(path=f"{folder}/{re.sub(r'[^a-z]+', '-', path)}-desktop.png")
