"""The audit as a page: every film of a library with its verdict, its reasons and its thumbnails.

The page lies in the library's folder and links into it, so that it opens from a disk or a web server without more. It
follows from the library (and from the duplicates that an ingest met) alone, byte for byte.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from talkies.core import LibraryError, WorkError, describe_os_error
from talkies.ingest.facts import details_of, facts_of, flags_of, info_of, size_in_words
from talkies.ingest.film import IngestedFilm
from talkies.library import FilmEntry, Library, Reason, Verdict
from talkies.runtime import write_atomically

REPORT_NAME = "ingest.html"
MOST_FILMS = 2000
"""How many films a page shows; of more it says how many it leaves out."""

_ORDER = (Verdict.REJECTED, Verdict.WARNED, Verdict.ACCEPTED)
_CLASSES = {Verdict.REJECTED: "rejected", Verdict.WARNED: "warned", Verdict.ACCEPTED: "accepted"}
_TURNING = (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNSEEN = dict.fromkeys([*range(32), *range(127, 160), *_TURNING], "�")
"""Characters in a file's name that are not seen, or turn the text around: shown as they are, the name would deceive."""
_FILES = {"strip": "strip.jpg", "proxy": "proxy.mp4", "record": "film.json"}


@dataclass(frozen=True, slots=True)
class Group:
    """The films of one verdict: how many there are, and those that the page shows."""

    verdict: str
    css_class: str
    count: int
    films: "tuple[ShownFilm, ...]"


@dataclass(frozen=True, slots=True)
class ShownFilm:
    """A film as the page shows it; `links` are the files that it has, by `strip`, `proxy` and `record`."""

    film_id: str
    name: str
    folder: str
    source: str
    reasons: tuple[Reason, ...]
    facts: tuple[str, ...]
    flags: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    links: dict[str, str]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A source of an ingest that has the bytes of another, and the id of their film."""

    source: str
    first: str
    film_id: str


def write_report(library: Library, films: Sequence[IngestedFilm]) -> Path:
    """Write the audit of `library` into its folder and return its path; `films` are those of the ingest just done.

    If the library lies elsewhere, the page is sent there.

    Raises:
        LibraryError: if the library's films cannot be listed.
        WorkError: if the page cannot be written.
    """
    path = library.root / REPORT_NAME
    try:
        page = _page(library, films)
        if not (path.is_file() and path.read_text(encoding="utf-8", errors="replace") == page):
            write_atomically(path, page)  # an ingest that found nothing new changes nothing
        library.upload_file(REPORT_NAME)
    except OSError as error:
        raise WorkError(
            f"{library.location}/{REPORT_NAME} cannot be written ({describe_os_error(error)}); "
            "the films are in the library, only its audit is not"
        ) from error
    return path


def _page(library: Library, films: Sequence[IngestedFilm]) -> str:
    from jinja2 import Environment  # a worker that converts films needs no templates

    entries = sorted(library.films(), key=lambda film: (_ORDER.index(Verdict(film.verdict)), film.source, film.film_id))
    shown = entries[:MOST_FILMS]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_seen).from_string(
        (files("talkies.ingest") / "templates" / "ingest.html").read_text(encoding="utf-8")
    )
    histogram, rejecting = _histogram(entries)
    duplicates = _duplicates(films)
    return template.render(
        groups=_groups(library, entries, shown),
        films=len(entries),
        left_out=len(entries) - len(shown),
        length=_hours(sum(film.duration_seconds for film in entries)),
        bytes=size_in_words(sum(film.stored_bytes for film in entries)),
        histogram=histogram,
        class_of={code: f"c{number}" for number, (code, _) in enumerate(histogram)},
        rejecting=rejecting,
        duplicates=duplicates[:MOST_FILMS],
        duplicates_in_all=len(duplicates),
        anchors={film.film_id for film in shown},
        profile=library.profile,
    )


def _histogram(entries: Sequence[FilmEntry]) -> tuple[list[tuple[str, int]], set[str]]:
    """Return how many films have each reason's code, the most frequent first, and the codes that reject."""
    counts: Counter[str] = Counter()
    rejecting: set[str] = set()
    for film in entries:
        reasons = film.reasons
        counts.update({reason.code for reason in reasons})
        rejecting.update(reason.code for reason in reasons if reason.rejects)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0])), rejecting


def _groups(library: Library, entries: Sequence[FilmEntry], shown: Sequence[FilmEntry]) -> list[Group]:
    counts = Counter(film.verdict for film in entries)
    return [
        Group(
            str(verdict),
            _CLASSES[verdict],
            counts[verdict],
            tuple(_shown(library, film) for film in shown if film.verdict == verdict),
        )
        for verdict in _ORDER
    ]


def _duplicates(films: Sequence[IngestedFilm]) -> list[Duplicate]:
    return [
        Duplicate(film.source.text, film.duplicate_of.text, film.record.film_id)
        for film in films
        if film.duplicate_of is not None
    ]


def _shown(library: Library, film: FilmEntry) -> ShownFilm:
    links = {what: f"films/{film.film_id}/{name}" for what, name in _FILES.items() if library.has_file(film.id, name)}
    try:
        record = library.record_of(film.id)
    except LibraryError:
        record = None
    info = info_of(record) if record else None
    details = tuple(details_of(record, info)) if record else (("Record", "cannot be read; ingest the film again"),)
    facts, flags = facts_of(film, record, info), tuple(flags_of(info)) if info else ()
    inside = film.source.rpartition("/")[0].rpartition("/")[2]
    return ShownFilm(film.film_id, film.name, inside, film.source, film.reasons, facts, flags, details, links)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _seen(value: object) -> object:
    return value.translate(_UNSEEN) if isinstance(value, str) else value
