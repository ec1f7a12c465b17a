"""Helpers for tests of the ingest report: a library of records only, and the page parsed as a browser does."""

import re
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

from talkies.ingestion import IngestedFilm
from talkies.ingestion.report import write_report
from talkies.library import FilmRecord, Library, Measures, Reason, Verdict, write_json

MUTE = Reason(code="no_audio", text="it has no audio track", rejects=True)
SILENT = Reason(code="silent_audio", text="its sound is silent")
SHORT = Reason(code="short_audio", text="the sound ends early")
TIMES = {
    "time_base": "1/1000", "packets": 10, "encrypted_packets": 0, "corrupt_packets": 0, "discarded_packets": 0,
    "skipped_samples": 0, "start_seconds": 0.0, "end_seconds": 10.0, "gaps": 0, "longest_gap_seconds": 0.0,
}  # fmt: skip
VIDEO = {
    "index": 0, "codec": "h264", "width": 720, "height": 576, "pixel_format": "yuv420p", "pixel_aspect": "1",
    "rotation_degrees": 0, "interlaced": False, "hdr": None, "full_range": False, "fps": 25.0, "constant_rate": True,
    "key_frames": 5, "longest_key_frame_distance_seconds": 2.0, "claimed_seconds": 10.0, "decodes": True,
    "times": TIMES,
}  # fmt: skip
AUDIO = {
    "number": 1, "index": 1, "codec": "aac", "rate_hz": 48_000, "channels": 2, "layout": "stereo", "language": "fra",
    "title": None, "decodes": True, "times": TIMES,
}  # fmt: skip
MEASURES = Measures(
    video_packets=250, audio_packets=430, damaged_video_packets=3, damaged_audio_packets=0, origin_seconds=744.012,
    sound_start_seconds=0.25, sound_end_seconds=9.5, sound_gaps=2, peak_dbfs=-12.34, black_frames=0, still_frames=1,
    silent_frames=999, damaged_frames=1000,
)  # fmt: skip


def probed(video: dict[str, Any] | None = VIDEO, audio: dict[str, Any] | None = AUDIO, **other: Any) -> dict[str, Any]:
    """Return a probe as a record keeps it."""
    found = {
        "container": "matroska,webm", "claimed_seconds": 10.0, "video": video, "audio": audio, "video_tracks": 1,
        "audio_tracks": [audio] if audio else [], "subtitle_languages": [], "cover_art": False,
        "unreadable_end": False, "jumps": [],
    }  # fmt: skip
    return found | other


class Shelf:
    """A library whose films are records alone."""

    def __init__(self, root: Path | str) -> None:
        self.library = Library.create(root)
        self._numbers = count(1)

    def add(self, source: str = "/films/a.mp4", *reasons: Reason, **fields: Any) -> FilmRecord:
        rejected = any(reason.rejects for reason in reasons)
        verdict = Verdict.REJECTED if rejected else Verdict.WARNED if reasons else Verdict.ACCEPTED
        lasting = {} if rejected else {"duration_seconds": 10.0, "frames": 160, "shots": 2, "width": 160, "height": 128}
        known = {"source_bytes": 1234, "verdict": verdict, "reasons": reasons, "probe": probed()} | lasting | fields
        record = FilmRecord(film_id=f"{next(self._numbers):016x}", source=source, **known)
        with self.library.commit_film(record.id) as folder:
            write_json(folder / "film.json", record)
        return record

    def page(self, films: tuple[IngestedFilm, ...] = ()) -> "Page":
        return Page(write_report(self.library, films))


class Page(HTMLParser):
    """What a browser would see of the page: its films in order, its links, its elements, its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.films: list[dict[str, Any]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._film: dict[str, Any] | None = None
        self.feed(self.html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attributes}
        self.elements.append((tag, known))
        if tag == "article":
            classes = known["class"].split()
            self._film = {"id": known["id"].removeprefix("film-"), "classes": classes, "words": [], "elements": []}
            self.films.append(self._film)
        if self._film is not None:
            self._film["elements"].append((tag, known))

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._film = None

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())
            if self._film is not None:
                self._film["words"].append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def detail(self, label: str, film: int = 0) -> str | None:
        """Return the value beside a label, or nothing if the film has no such label."""
        words = self.films[film]["words"]
        return words[words.index(label) + 1] if label in words else None

    def links(self) -> list[str]:
        found = [e.get("href") or e.get("src") or "" for _, e in self.elements if "href" in e or "src" in e]
        return [link for link in found if not link.startswith("#")]

    def chosen_by(self, code: str) -> list[str]:
        """Return the films that stay when a reason is chosen, as the page's style says."""
        number = re.search(rf'id="show-(\w+)" autocomplete="off"><code title="{code}">', self.html)
        assert number
        assert f"body:has(#show-{number[1]}:checked) :is(.film:not(.{number[1]})" in self.html
        return [film["id"] for film in self.films if number[1] in film["classes"]]
