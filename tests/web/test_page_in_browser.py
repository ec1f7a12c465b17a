"""The page in a real browser with a library of real films: every view and every way to search."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    PATIENCE_MS,
    Watch,
    cut_clip,
    cut_picture,
    cut_sound,
    drop_file,
    find_film_card,
    find_serious_violations,
    read_hits,
    run_server,
    wait_until,
    wait_until_playing,
)
from playwright.sync_api import Browser, Page, expect, sync_playwright

from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import embed
from talkies.training import RunConfig, pretrain

pytestmark = [pytest.mark.real_data, pytest.mark.browser]

FILMS = ("big_buck_bunny_30s_5.1.mp4", "sintel_trailer.mp4", "tears_of_steel_excerpt.webm")
WITH_MOTION = {"reduced_motion": "no-preference"}
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@dataclass(frozen=True)
class Cinema:
    """Two servers of the same real films: one embedded, one not; and the ids of the films by their names."""

    url: str
    bare_url: str
    library: Library
    sources: Path
    ids: dict[str, str]

    def search(self, film: str, at: float, sides: str = "from=video&to=video", more: str = "&floor=false") -> str:
        return f"{self.url}/#/search?film={self.ids[film]}&at={at}&{sides}{more}"


@pytest.fixture(scope="module")
def cinema(
    real_data: Path, two_steps: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cinema]:
    folder = tmp_path_factory.mktemp("cinema")
    (folder / "letter.mp4").write_text("Dear film, I am a text.")
    sources = [*(real_data / "films" / name for name in FILMS), folder / "letter.mp4"]
    library = ingest(sources, folder / "cinema").library
    bare = Path(shutil.copytree(library.root, folder / "bare"))
    embed(library.root, pretrain(library.root, two_steps(), folder / "run").run)
    ids = {film.name: film.film_id for film in library.films()}
    with run_server(library.root) as url, run_server(bare) as bare_url:
        yield Cinema(url, bare_url, library, real_data / "films", ids)


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
        opened = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Browser, cinema: Cinema) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """A function that opens an address in a fresh profile; foreign requests and console errors fail the test.

    Previews play by themselves only with `WITH_MOTION`.
    """
    kept = []

    def open_page(url: str, viewport: Any = DESKTOP, expected: tuple[str, ...] = (), **more: Any) -> tuple[Page, Watch]:
        context = browser.new_context(viewport=viewport, **{"reduced_motion": "reduce", **more})
        context.set_default_timeout(PATIENCE_MS)
        origin = url.split("/#")[0].rstrip("/")
        watch = Watch(context, origin)
        watch.expected += expected
        kept.append((context, watch))
        page = context.new_page()
        page.goto(url)
        return page, watch

    yield open_page
    for context, watch in kept:
        context.close()
        assert watch.requested
        assert watch.list_foreign_requests() == []
        assert watch.complaints == []


def test_the_library_shows_films_verdicts_and_reasons_for_rejection(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(cinema.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("cinema")
    expect(page.locator(".film-card")).to_have_count(3)
    card = find_film_card(page, "sintel trailer")
    expect(card).to_contain_text(re.compile(r"52 s · \d\d shots"))
    expect(card.locator(".badge")).to_have_text("accepted")
    wait_until(page, "[...document.querySelectorAll('.card-strip')].every(one => one.naturalWidth > 200)")
    expect(page.locator(".rejected")).to_contain_text("letter.mp4 is not media that FFmpeg can read")
    page.keyboard.press("/")
    page.keyboard.type("steel")
    expect(page.locator(".film-card:visible")).to_have_count(1)
    expect(page.locator(".rejected")).to_be_hidden()
    page.reload()
    expect(page.locator(".film-card:visible")).to_have_count(1)


def test_a_film_plays_and_mouse_and_keys_seek_in_it(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(f"{cinema.url}/#/film/{cinema.ids['sintel_trailer.mp4']}?at=20")
    time = page.locator(".moment-time")
    expect(time).to_have_text("0:20.0")
    expect(page.locator(".track-name")).to_have_text(
        [
            "Pictures",
            "Shots",
            "Sound",
            "Similar picture elsewhere",
            "Similar sound elsewhere",
            "Annotations",
            "Similarity",
        ]
    )
    page.keyboard.press(" ")
    wait_until_playing(page, page.locator(".player video"))
    page.keyboard.press(" ")
    slider = page.get_by_role("slider", name="Time in the film")
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    expect(time).to_have_text("0:26.0")
    page.keyboard.press("ArrowRight")
    expect(time).to_have_text("0:27.0")
    before = page.locator(".moment-place").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".moment-place")).not_to_have_text(before)
    page.wait_for_url(re.compile(r"at=2[789]\.\d\d"))
    shown = time.inner_text()
    page.reload()
    expect(time).to_have_text(shown)
    with page.expect_response(re.compile(r"/api/heat.*at=52")) as answered:  # its end, of which no time is rounded up
        page.locator(".player video").evaluate("one => { one.currentTime = one.duration; }")
    assert answered.value.ok


def test_results_play_and_link_to_similar_moments_and_back(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(cinema.search("tears_of_steel_excerpt.webm", 30), **WITH_MOTION)
    expect(page.locator(".hit")).to_have_count(12)
    wait_until_playing(page, page.locator(".hit video").first)
    assert page.locator(".hit video").count() <= 4
    assert page.evaluate("[...document.querySelectorAll('.hit video')].every(video => video.muted)")
    first = read_hits(page)

    page.get_by_role("link", name="More like this by sound").nth(2).click()
    page.wait_for_url(re.compile("from=audio&to=audio"))
    expect(page.locator(".filters input[name=from][value=audio]")).to_be_checked()
    expect(page.locator(".query-name")).to_contain_text(first[2][1])
    second = read_hits(page)
    assert second
    assert second != first

    page.locator(".hit").nth(1).get_by_role("link", name="Open in film").click()
    expect(page.locator(".player video")).to_have_count(1)
    expect(page.locator(".timeline-note").last).to_contain_text("that you searched from")
    page.go_back()
    expect(page.locator(".hit")).to_have_count(12)
    assert read_hits(page) == second
    page.go_back()
    expect(page.locator(".query-name")).to_contain_text("tears of steel")
    expect(page.locator(".hit")).to_have_count(12)
    assert read_hits(page) == first
    page.go_forward()
    expect(page.locator(".filters input[name=from][value=audio]")).to_be_checked()
    expect(page.locator(".hit")).to_have_count(12)
    assert read_hits(page) == second


def test_a_shared_address_shows_the_same_hits_in_another_browser(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(cinema.search("sintel_trailer.mp4", 20, "from=audio&to=video"))
    expect(page.locator(".hit")).to_have_count(12)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".hit")).to_have_count(24)
    shared = page.url
    mine = read_hits(page)
    page.reload()
    expect(page.locator(".hit")).to_have_count(24)
    assert read_hits(page) == mine
    other, _ = opened(shared)
    expect(other.locator(".hit")).to_have_count(24)
    assert read_hits(other) == mine


def test_the_controls_of_a_search_narrow_it(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(cinema.search("sintel_trailer.mp4", 20))
    expect(page.locator(".hit")).to_have_count(12)
    page.get_by_role("radio", name="Film").check()
    expect(page.locator(".hit")).to_have_count(2)  # its own film is not one of them
    page.get_by_role("checkbox", name="tears of steel excerpt").check()
    expect(page.locator(".hit h3")).to_have_text(["tears of steel excerpt"])
    page.get_by_role("radio", name="Moment").check()
    expect(page.locator(".hit")).to_have_count(12)
    page.get_by_label("Only from").fill("10")
    page.get_by_label("Only from").blur()
    page.get_by_label("to", exact=True).fill("13")
    page.get_by_label("to", exact=True).blur()
    page.wait_for_url(re.compile("begin=10.*end=13"))
    expect(page.locator(".hit").first).to_contain_text(re.compile(r"0:1[0-3]"))
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


@pytest.mark.parametrize("kind", ["sound", "picture", "clip"])
def test_a_search_by_file_works_and_its_address_survives_a_reload(
    kind: str, opened: Callable[..., Any], cinema: Cinema, tmp_path: Path
) -> None:
    film = cinema.sources / "sintel_trailer.mp4"
    if kind == "sound":
        path = cut_sound(cinema.library, cinema.ids["sintel_trailer.mp4"], 20, 3, tmp_path / "cut.wav")
    elif kind == "picture":
        path = cut_picture(film, 20, tmp_path / "cut.png")
    else:
        path = cut_clip(film, 20, 3, tmp_path / "cut.mp4")
    page, _ = opened(cinema.url)
    page.locator(".drop input[type=file]").set_input_files(path)
    page.wait_for_url(re.compile("/search.upload="))
    side = {"sound": "audio", "picture": "video", "clip": "both"}[kind]
    expect(page.locator(f".filters input[name=from][value={side}]")).to_be_checked()
    expect(page.locator(".query-name")).to_contain_text(path.name)
    expect(page.locator(".query-file :is(img, audio, video)")).to_have_count(1)
    page.goto(f"{page.url}&floor=false")
    expect(page.locator(".hit")).to_have_count(12)
    assert page.locator(".hit h3").first.inner_text() == "sintel trailer"
    mine = read_hits(page)
    page.reload()
    expect(page.locator(".hit")).to_have_count(12)
    assert read_hits(page) == mine
    expect(page.locator(".query-name")).to_contain_text(path.name)


def test_errors_are_shown_as_a_sentence(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, watch = opened(cinema.url, expected=("Failed to load resource",))
    expect(page.locator(".film-card")).to_have_count(3)
    drop_file(page, "notes.txt", b"not a film", "text/plain")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("notes.txt")
    expect(page.locator("#status")).to_be_empty()
    for address, word in (
        ("#/film/ffffffffffffffff", "ffffffffffffffff"),
        ("#/search?upload=ffffffffffffffff&from=audio", "upload"),
        (f"#/search?film={cinema.ids['sintel_trailer.mp4']}&at=20&model=000000000000", "000000000000"),
        ("#/search?film=ffffffffffffffff&at=20", "ffffffffffffffff"),
    ):
        page.goto(f"{cinema.url}/{address}")
        expect(alert).to_contain_text(word)
        expect(alert).to_contain_text(re.compile(r"[.!?]$|×$"))
    assert [url for url in watch.requested if "/api/uploads" in url]


def test_an_empty_result_says_why_and_offers_weaker_matches(opened: Callable[..., Any], cinema: Cinema) -> None:
    nowhere = "&begin=69.9&end=70&films=" + cinema.ids["big_buck_bunny_30s_5.1.mp4"]
    page, _ = opened(cinema.search("sintel_trailer.mp4", 20, more=nowhere))
    expect(page.locator(".empty-message")).to_contain_text("No confident match")
    page.get_by_role("button", name="Show weaker matches").click()
    page.wait_for_url(re.compile("floor=false"))
    expect(page.get_by_role("checkbox", name="Show weaker matches")).to_be_checked()


def test_without_embeddings_films_play_and_the_page_names_the_command(
    opened: Callable[..., Any], cinema: Cinema
) -> None:
    page, _ = opened(cinema.bare_url)
    expect(page.get_by_role("note")).to_contain_text("talkies embed --library")
    expect(page.locator(".film-card")).to_have_count(3)
    find_film_card(page, "sintel trailer").get_by_role("link", name="sintel trailer").click()
    expect(page.locator(".moment")).to_contain_text("talkies embed --library")
    page.keyboard.press(" ")
    wait_until_playing(page, page.locator(".player video"))
    page.get_by_role("link", name="Map").click()
    expect(page.get_by_role("note")).to_contain_text("talkies embed --library")


def test_the_keyboard_reaches_everything(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(f"{cinema.url}/#/film/{cinema.ids['sintel_trailer.mp4']}?at=20", **WITH_MOTION)
    expect(page.locator(".moment-time")).to_have_text("0:20.0")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("s")
    page.wait_for_url(re.compile("/search.*from=audio&to=audio"))
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.goto(f"{page.url}&floor=false")
    expect(page.locator(".hit")).to_have_count(12)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    chosen = page.locator(".hit").nth(1)
    expect(chosen.locator("h3 a")).to_be_focused()
    page.keyboard.press("m")
    wait_until(page, "[...document.querySelectorAll('.hit video')].some(video => !video.muted)")
    expect(page.get_by_role("button", name="Sound on hover")).to_have_attribute("aria-pressed", "true")
    name = chosen.locator("h3").inner_text()
    page.keyboard.press("p")
    page.wait_for_url(re.compile("from=video&to=video"))
    expect(page.locator(".query-name")).to_contain_text(name)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Filter films")).to_be_focused()


def test_the_map_is_explored_by_keys_and_opens_a_moment(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(f"{cinema.url}/#/map?side=audio", **WITH_MOTION)
    chart = page.get_by_role("application")
    expect(chart).to_have_attribute("aria-label", re.compile("moments by sound"))
    page.keyboard.press("ArrowRight")
    wait_until_playing(page, page.locator(".map-details video"))
    page.wait_for_url(re.compile("film=.*at="))
    shared, name = page.url, page.locator(".map-details .query-name").inner_text()
    page.reload()
    expect(page.locator(".map-details .query-name")).to_have_text(name)
    page.get_by_role("radio", name="By picture").check()
    expect(chart).to_have_attribute("aria-label", re.compile("moments by picture"))
    page.goto(shared)
    expect(page.locator(".map-details .query-name")).to_have_text(name)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#/film/"))
    expect(page.get_by_role("heading", level=1)).to_have_text(name.split("\n")[0])


def views(cinema: Cinema) -> dict[str, str]:
    film = cinema.ids["sintel_trailer.mp4"]
    return {
        "library": f"{cinema.url}/#/",
        "film": f"{cinema.url}/#/film/{film}?at=20",
        "rejected": f"{cinema.url}/#/film/{cinema.ids['letter.mp4']}",
        "results": cinema.search("sintel_trailer.mp4", 20),
        "map": f"{cinema.url}/#/map?film={film}&at=20.5",
        "bare": f"{cinema.bare_url}/#/",
    }


READY = {
    "library": ".film-card",
    "film": ".track-heat",
    "rejected": ".reasons",
    "results": ".hit",
    "map": ".map-details .preview",
    "bare": ".notice",
}


def test_every_view_is_accessible_light_and_dark_and_fits_a_phone(opened: Callable[..., Any], cinema: Cinema) -> None:
    violations = {}
    for name, url in views(cinema).items():
        page, _ = opened(url, color_scheme="light")
        expect(page.locator(READY[name]).first).to_be_visible()
        violations[name] = find_serious_violations(page)
        page.emulate_media(color_scheme="dark")
        violations[name] += find_serious_violations(page, only="color-contrast")
        page.set_viewport_size(PHONE)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > PHONE["width"]:
            violations[name].append(f"{wide} pixels wide on a phone")
        page.close()
    assert {name: found for name, found in violations.items() if found} == {}


def test_nothing_plays_by_itself_with_reduced_motion(opened: Callable[..., Any], cinema: Cinema) -> None:
    page, _ = opened(cinema.search("sintel_trailer.mp4", 20))
    expect(page.locator(".hit")).to_have_count(12)
    page.locator(".hit").first.hover()
    page.wait_for_timeout(300)
    assert page.locator("video").count() == 0
    page.get_by_role("button", name=re.compile("^Play: ")).nth(1).click()
    wait_until_playing(page, page.locator(".hit video"))
