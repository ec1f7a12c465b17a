"""Write what repeats in a library: a table (CSV), a document (JSON), and markers for editors (EDL), a list per film."""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from talkies.core import (
    LibraryError,
    Modality,
    UsageError,
    WorkError,
    describe_os_error,
    escape_controls,
    normalize_name,
    parse_film_id,
)
from talkies.library.staging import create_staging_folder, flush, replace_folder
from talkies.reporting import format_percent
from talkies.retrieval.recurrence.edl import SIGNATURE, Marker, SourceTimeline, write_lists
from talkies.retrieval.recurrence.families import FilmSpan
from talkies.retrieval.recurrence.repeats import LibraryRepeats
from talkies.retrieval.recurrence.repeats_document import PASSAGE_WORDS, build_csv, build_document

MarkerFormat = Literal["csv", "json", "edl"]
FORMATS: tuple[MarkerFormat, ...] = get_args(MarkerFormat)
CSV_FILE, JSON_FILE, EDL_SUFFIX = "repeats.csv", "repeats.json", ".edl"
_COLOURS: Mapping[Modality, str] = {"video": "Blue", "audio": "Green"}
_MAX_OCCURRENCES_NAMED = 6
_MAX_STEM_BYTES = 200  # file systems take 255


def write_markers(result: LibraryRepeats, folder: Path, formats: Collection[MarkerFormat] = FORMATS) -> list[Path]:
    """Write what was found to a folder, atomically; files of an earlier call are replaced.

    Args:
        result: What was found.
        folder: The folder to create or replace.
        formats: The formats to write.

    Returns:
        The files.

    Raises:
        UsageError: as `check_folder`.
        WorkError: if the folder cannot be written.
    """
    check_folder(folder)
    files = {CSV_FILE: build_csv(result)} if "csv" in formats else {}
    if "json" in formats:
        files[JSON_FILE] = json.dumps(build_document(result), indent=1, ensure_ascii=False)
    if "edl" in formats:
        files |= build_edit_lists(result)
    try:
        with create_staging_folder(folder.parent, folder.name) as staging:
            written = staging / "made"
            written.mkdir()
            for name, text in files.items():
                (written / name).write_text(text, encoding="utf-8")
            flush(*written.iterdir(), written)
            replace_folder(staging, written, folder)
    except OSError as error:
        raise WorkError(
            f"{folder} cannot be written ({describe_os_error(error)}); name another folder with --to"
        ) from error
    return [folder / name for name in files]


def check_folder(folder: Path) -> None:
    """Check that a folder of markers can be written, before the work starts.

    Raises:
        UsageError: if the folder holds other files, or its parent folder is missing or not writable.
    """
    if folder.exists() and not (folder.is_dir() and all(_is_own_file(path) for path in folder.iterdir())):
        raise UsageError(f"{folder} exists and holds files other than markers; name a new or empty folder with --to")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise UsageError(
            f"{folder} cannot be created: its parent folder does not exist; name one in an existing folder with --to"
        )
    if not os.access(parent, os.W_OK):
        raise UsageError(f"{folder} cannot be created: its parent folder is not writable; name another with --to")


def build_edit_lists(result: LibraryRepeats) -> dict[str, str]:
    """Return the edit decision lists of all films that have markers, by file name."""
    timelines = _read_timelines(result)
    markers_of = defaultdict[str, list[Marker]](list)
    for film_id, marker in _MarkerBuilder(result, timelines).build_all():
        markers_of[film_id].append(marker)

    files: dict[str, str] = {}
    for film_id, markers in sorted(markers_of.items()):
        source = escape_controls(result.repeats.films[film_id].name)
        stem = _make_stem(source)
        if normalize_name(stem.lower()) in {normalize_name(Path(name).stem.lower()) for name in files}:
            stem = f"{stem}-{film_id[:8]}"
        for number, text in enumerate(write_lists(source, timelines[film_id], markers), start=1):
            part = f"-{number}" if number > 1 else ""
            files[f"{stem}{part}{EDL_SUFFIX}"] = text
    return files


def _make_stem(source: str) -> str:
    """Return the name of a film's list without its suffix, short enough for what is appended to it."""
    stem = Path(source).stem
    while len(stem.encode()) > _MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem


def _is_own_file(path: Path) -> bool:
    """Return whether a file is one that `write_markers` wrote: an editor's own lists are never replaced."""
    if not path.is_file() or path.suffix != EDL_SUFFIX:
        return path.is_file() and path.name in (CSV_FILE, JSON_FILE)
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n").endswith(SIGNATURE)


def _read_timelines(result: LibraryRepeats) -> dict[str, SourceTimeline]:
    """Return the source timeline of each film.

    Raises:
        LibraryError: if a film was removed from the library meanwhile.
    """
    timelines = {}
    for film_id in result.repeats.films:
        record = result.library.record_of(parse_film_id(film_id))
        if record is None:
            raise LibraryError(
                f"the film {film_id} was removed from {result.library.location} meanwhile; run the command again"
            )
        timelines[film_id] = SourceTimeline.of(record, result.library.profile.fps)
    return timelines


class _MarkerBuilder:
    """Builds the markers of all films on the films' own timelines."""

    def __init__(self, result: LibraryRepeats, timelines: Mapping[str, SourceTimeline]) -> None:
        self._repeats, self._timelines = result.repeats, timelines

    def build_all(self) -> Iterator[tuple[str, Marker]]:
        """Yield each marker with the id of its film."""
        yield from self._build_passages()
        yield from self._build_duplicates()
        yield from self._build_match_cuts()

    def _build_passages(self) -> Iterator[tuple[str, Marker]]:
        for modality, modality_repeats in self._repeats.by_modality.items():
            for number, family in enumerate(modality_repeats.families, start=1):
                for index, span in enumerate(family.spans, start=1):
                    others = [other for other in family.spans if other != span]
                    name = f"{PASSAGE_WORDS[modality]} {number} ({index} of {len(family.spans)})"
                    note = f"also at {self._format_starts(others, span.film_id)}"
                    yield self._build_marker(span, name, note, _COLOURS[modality])

    def _build_duplicates(self) -> Iterator[tuple[str, Marker]]:
        for duplicate in self._repeats.duplicates:
            for span, other, share in (
                (duplicate.first, duplicate.second, duplicate.first_share),
                (duplicate.second, duplicate.first, duplicate.second_share),
            ):
                name = f"Same as {self._name_film(other.film_id)}"
                start, percent = self._format_start(other, span.film_id), format_percent(share, 0)
                yield self._build_marker(span, name, f"this is {start}, and so is {percent} of this film", "Red")

    def _build_match_cuts(self) -> Iterator[tuple[str, Marker]]:
        for number, cut in enumerate(self._repeats.match_cuts, start=1):
            target = self._format_start(cut.beginning, cut.end.film_id)
            source = self._format_start(cut.end, cut.beginning.film_id)
            yield self._build_marker(cut.end, f"Match cut {number} out", f"to {target}", "Yellow")
            yield self._build_marker(cut.beginning, f"Match cut {number} in", f"from {source}", "Yellow")

    def _build_marker(self, span: FilmSpan, name: str, note: str, colour: str) -> tuple[str, Marker]:
        timeline = self._timelines[span.film_id]
        frame = timeline.convert_to_frame(span.start_seconds)
        frames = timeline.convert_to_frame(span.end_seconds) - frame
        return span.film_id, Marker(frame, frames, name, note, colour)

    def _name_film(self, film_id: str) -> str:
        return escape_controls(self._repeats.films[film_id].name)

    def _format_start(self, span: FilmSpan, film_id: str) -> str:
        """Return a span's first timecode, with its film's name unless that is `film_id`."""
        timecode = self._timelines[span.film_id].format_time(span.start_seconds)
        return timecode if span.film_id == film_id else f"{timecode} of {self._name_film(span.film_id)}"

    def _format_starts(self, spans: Sequence[FilmSpan], film_id: str) -> str:
        hidden = len(spans) - _MAX_OCCURRENCES_NAMED
        more = f" and {hidden} more" if hidden > 0 else ""
        return ", ".join(self._format_start(span, film_id) for span in spans[:_MAX_OCCURRENCES_NAMED]) + more
