"""Browser helpers: recorded requests and console messages, accessibility checks, and files cut from films."""

import threading
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import av
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, expect

from talkies.library import Library
from talkies.web import create_app
from talkies.web.server import create_server, open_socket

PATIENCE_MS = 30_000  # for a busy machine
SERIOUS = ("serious", "critical")


class Watch:
    """Records the requests and the console messages of the pages of a browser context."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.expected: list[str] = []
        context.on("request", lambda request: self.requested.append(request.url))
        context.on("console", lambda message: self._record(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _record(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(word in text for word in self.expected):
            self.complaints.append(text)

    def list_foreign_requests(self) -> list[str]:
        """Return the requested URLs of other servers; blob and data URLs belong to the page itself."""
        here = [url for url in self.requested if urlsplit(url).scheme not in ("blob", "data")]
        return [url for url in here if f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" != self.origin]


def find_serious_violations(page: Page, only: str | None = None) -> list[str]:
    """Return the accessibility violations of serious or critical impact that axe finds, as text."""
    options: dict[str, object] = {"resultTypes": ["violations"]} | ({"runOnly": [only]} if only else {})
    violations = Axe().run(page, options=options).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def find_film_card(page: Page, name: str) -> Locator:
    """Return the card of a film in the library."""
    return page.locator(".film-card", has=page.get_by_role("link", name=name, exact=True))


def read_hits(page: Page) -> list[tuple[str | None, str]]:
    """Return the link and the title of each hit."""
    expect(page.locator(".hits.is-waiting")).to_have_count(0)
    names = page.locator(".hit h3 a")
    return [(one.get_attribute("href"), one.inner_text()) for one in names.all()]


def wait_until_playing(page: Page, video: Locator, seconds: float = 0.25) -> None:
    """Wait until a video has played for `seconds`."""
    expect(video).to_have_count(1)
    wait_until(
        page,
        """([video, seconds]) => {
            video.least = Math.min(video.least ?? Infinity, video.currentTime);
            return !video.paused && video.currentTime > video.least + seconds;
        }""",
        [video.element_handle(), seconds],
    )


def wait_until(page: Page, condition: str, argument: object = None) -> None:
    """Wait until a JavaScript condition holds.

    Playwright's own waiting evaluates strings, which the page's policy forbids.
    """
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition, argument):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def cut_sound(library: Library, film_id: str, begin: float, seconds: float, path: Path) -> Path:
    """Write a part of a film's audio as WAV."""
    with wave.open(str(library.audio_path(film_id))) as source, wave.open(str(path), "wb") as cut:
        cut.setparams(source.getparams())
        source.setpos(int(begin * source.getframerate()))
        cut.writeframes(source.readframes(int(seconds * source.getframerate())))
    return path


def cut_picture(film: Path, at: float, path: Path) -> Path:
    """Write one picture of a film as PNG."""
    with av.open(str(film)) as source:
        stream = source.streams.video[0]
        source.seek(int(at / stream.time_base), stream=stream)
        next(source.decode(stream)).to_image().save(path)
    return path


def cut_clip(film: Path, begin: float, seconds: float, path: Path) -> Path:
    """Copy a part of a film, from the key frame before `begin`, into a small MP4."""
    with av.open(str(film)) as source, av.open(str(path), "w") as cut:
        tracks = (source.streams.video[0], source.streams.audio[0])
        copies = {track.index: cut.add_stream_from_template(track) for track in tracks}
        source.seek(int(begin / tracks[0].time_base), stream=tracks[0])
        offsets: dict[int, int] = {}
        for packet in source.demux(tracks):
            if packet.dts is None or packet.pts * packet.time_base > begin + seconds:
                continue
            start = offsets.setdefault(packet.stream.index, packet.dts)
            packet.pts, packet.dts = packet.pts - start, packet.dts - start
            packet.stream = copies[packet.stream.index]
            cut.mux(packet)
    return path


def drop_file(page: Page, name: str, content: Sequence[int], kind: str) -> None:
    """Drop a file on the page, as from a file manager."""
    page.evaluate(
        """([name, content, type]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(content)], name, { type }));
            for (const what of ["dragenter", "dragover", "drop"]) {
                const event = new DragEvent(what, { dataTransfer: carried, bubbles: true, cancelable: true });
                document.body.dispatchEvent(event);
            }
        }""",
        [name, list(content), kind],
    )


@contextmanager
def run_server(library: Path) -> Iterator[str]:
    """Serve a library while the block runs; yield its URL."""
    with open_socket("127.0.0.1", 0) as socket:
        server = create_server(create_app(library))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        assert server.ready.wait(30)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
