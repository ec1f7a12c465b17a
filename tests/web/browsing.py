"""A browser on the page: what it asked for and complained of, what axe says of it, and files cut from films."""

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
from talkies.web.server import listening, server_of

PATIENCE_MS = 30_000  # of a machine that does much else
GRAVE = ("serious", "critical")


class Watch:
    """Keeps what the pages of a context ask for and what their console says."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.expected: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda said: self._hear(said.type, said.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(word in text for word in self.expected):
            self.complaints.append(text)

    def elsewhere(self) -> list[str]:
        """Everything that was asked of anyone but the server; what a page made itself is nobody's."""
        here = [url for url in self.asked if urlsplit(url).scheme not in ("blob", "data")]
        return [url for url in here if f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" != self.origin]


def grave_faults(page: Page, only: str | None = None) -> list[str]:
    """What axe, or one of its rules, finds of serious and critical impact on a page as it stands, in words."""
    options: dict[str, object] = {"resultTypes": ["violations"]} | ({"runOnly": [only]} if only else {})
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{fault['id']}: {fault['help']}: {node['html'][:160]}"
        for fault in found
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


def film_card(page: Page, name: str) -> Locator:
    """The card of a film in the library."""
    return page.locator(".film-card", has=page.get_by_role("link", name=name, exact=True))


def places(page: Page) -> list[tuple[str | None, str]]:
    """Where each hit leads to, and what it is called."""
    expect(page.locator(".hits.is-waiting")).to_have_count(0)
    names = page.locator(".hit h3 a")
    return [(one.get_attribute("href"), one.inner_text()) for one in names.all()]


def plays(page: Page, video: Locator, seconds: float = 0.25) -> None:
    """Wait until a video has played so long on."""
    expect(video).to_have_count(1)
    until(
        page,
        """([video, seconds]) => {
            video.least = Math.min(video.least ?? Infinity, video.currentTime);
            return !video.paused && video.currentTime > video.least + seconds;
        }""",
        [video.element_handle(), seconds],
    )


def until(page: Page, question: str, about: object = None) -> None:
    """Ask the page until it says yes. (Playwright's own waiting evaluates strings, which the page's policy forbids.)"""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(question, about):
        assert time.monotonic() < end, question
        page.wait_for_timeout(50)


def sound_cut(library: Library, film_id: str, begin: float, seconds: float, path: Path) -> Path:
    """Write so many seconds of a film's sound as WAV."""
    with wave.open(str(library.audio_path(film_id))) as source, wave.open(str(path), "wb") as cut:
        cut.setparams(source.getparams())
        source.setpos(int(begin * source.getframerate()))
        cut.writeframes(source.readframes(int(seconds * source.getframerate())))
    return path


def picture_cut(film: Path, at: float, path: Path) -> Path:
    """Write one picture of a film as PNG."""
    with av.open(str(film)) as source:
        stream = source.streams.video[0]
        source.seek(int(at / stream.time_base), stream=stream)
        next(source.decode(stream)).to_image().save(path)
    return path


def clip_cut(film: Path, begin: float, seconds: float, path: Path) -> Path:
    """Copy so many seconds of a film, from the key picture before `begin` on, into a small MP4."""
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
    """Drop a file on the page, as from a folder's window."""
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
def serving(library: Path) -> Iterator[str]:
    """A server of a library while the block runs; its URL."""
    with listening("127.0.0.1", 0) as socket:
        server = server_of(create_app(library))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        assert server.ready.wait(30)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
