"""Write the ingest report: an HTML page with every film of a library, its verdict, its reasons and its thumbnails.

The page is stored in the library's folder and links into it, so it opens from a disk or a web server as it is. Its
bytes depend only on the library and on the duplicates that the last ingest found.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from talkies.core import LibraryError, WorkError, describe_os_error, escape_controls
from talkies.ingestion.facts import format_bytes, list_bar_flags, list_details, list_facts, list_flags, parse_probe
from talkies.ingestion.film import IngestedFilm
from talkies.library import FilmEntry, Library, Reason, Verdict
from talkies.runtime import write_atomically

REPORT_NAME = "ingest.html"
MAX_FILMS = 2000
"""How many films the page shows; it says how many more there are."""

_ORDER = (Verdict.REJECTED, Verdict.WARNED, Verdict.ACCEPTED)
_CLASSES = {Verdict.REJECTED: "rejected", Verdict.WARNED: "warned", Verdict.ACCEPTED: "accepted"}
_FILES = {"strip": "strip.jpg", "proxy": "proxy.mp4", "record": "film.json"}


@dataclass(frozen=True, slots=True)
class FilmCard:
    """A film as the page shows it; `links` holds the paths of its files under `strip`, `proxy` and `record`."""

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
class Group:
    """The films with the same verdict: how many there are, and those that the page shows."""

    verdict: str
    css_class: str
    count: int
    films: tuple[FilmCard, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A source with the same bytes as another, and the id of their film."""

    source: str
    first: str
    film_id: str


def write_report(library: Library, films: Sequence[IngestedFilm]) -> Path:
    """Write the report of `library` into its folder and return its path; a remote library gets it uploaded.

    Args:
        library: The library.
        films: The films of the ingest just done, for the table of duplicates.

    Raises:
        LibraryError: if the library's films cannot be listed.
        WorkError: if the page cannot be written.
    """
    path = library.root / REPORT_NAME
    try:
        page = _render_page(library, films)
        # An ingest that found nothing new leaves the file untouched.
        if not (path.is_file() and path.read_text(encoding="utf-8", errors="replace") == page):
            write_atomically(path, page)
        library.upload_file(REPORT_NAME)
    except OSError as error:
        raise WorkError(
            f"{library.location}/{REPORT_NAME} cannot be written ({describe_os_error(error)}); "
            "the films are in the library, only its report is missing"
        ) from error
    return path


def _render_page(library: Library, films: Sequence[IngestedFilm]) -> str:
    from jinja2 import Environment  # not at the top: a worker that converts films needs no templates

    entries = sorted(library.films(), key=lambda film: (_ORDER.index(Verdict(film.verdict)), film.source, film.film_id))
    shown = entries[:MAX_FILMS]
    histogram, rejecting = _count_reasons(entries)
    duplicates = _list_duplicates(films)

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_escape_text)
    template = (files("talkies.ingestion") / "templates" / "ingest.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        groups=_build_groups(library, entries, shown),
        films=len(entries),
        left_out=len(entries) - len(shown),
        length=_format_hours(sum(film.duration_seconds for film in entries)),
        bytes=format_bytes(sum(film.stored_bytes for film in entries)),
        histogram=histogram,
        class_of={code: f"c{number}" for number, (code, _) in enumerate(histogram)},
        rejecting=rejecting,
        duplicates=duplicates[:MAX_FILMS],
        duplicates_in_all=len(duplicates),
        anchors={film.film_id for film in shown},
        profile=library.profile,
    )


def _count_reasons(entries: Sequence[FilmEntry]) -> tuple[list[tuple[str, int]], set[str]]:
    """Return how many films have each reason's code, most frequent first, and the codes that reject."""
    counts: Counter[str] = Counter()
    rejecting: set[str] = set()
    for film in entries:
        reasons = film.reasons
        counts.update({reason.code for reason in reasons})
        rejecting.update(reason.code for reason in reasons if reason.rejects)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0])), rejecting


def _build_groups(library: Library, entries: Sequence[FilmEntry], shown: Sequence[FilmEntry]) -> list[Group]:
    counts = Counter(film.verdict for film in entries)
    groups = []
    for verdict in _ORDER:
        cards = tuple(_build_card(library, film) for film in shown if film.verdict == verdict)
        groups.append(Group(str(verdict), _CLASSES[verdict], counts[verdict], cards))
    return groups


def _list_duplicates(films: Sequence[IngestedFilm]) -> list[Duplicate]:
    return [
        Duplicate(film.source.text, film.duplicate_of.text, film.record.film_id)
        for film in films
        if film.duplicate_of is not None
    ]


def _build_card(library: Library, film: FilmEntry) -> FilmCard:
    try:
        record = library.record_of(film.id)
    except LibraryError:
        record = None
    info = parse_probe(record) if record else None

    return FilmCard(
        film_id=film.film_id,
        name=film.name,
        folder=film.source.rpartition("/")[0].rpartition("/")[2],
        source=film.source,
        reasons=film.reasons,
        facts=list_facts(film, record, info),
        flags=(*(list_flags(info) if info else ()), *(list_bar_flags(record) if record else ())),
        details=tuple(list_details(record, info)) if record else (("Record", "cannot be read; ingest the film again"),),
        links={key: f"films/{film.film_id}/{name}" for key, name in _FILES.items() if library.has_file(film.id, name)},
    )


def _format_hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _escape_text(value: object) -> object:
    """Escape invisible characters and those that reverse the text, which would make a file name misleading."""
    return escape_controls(value) if isinstance(value, str) else value
