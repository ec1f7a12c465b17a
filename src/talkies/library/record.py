"""The record of one film (`film.json`), and functions to read and write the library's JSON documents."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, JsonValue

from talkies.config import Config, read_document
from talkies.core import BarSpan, FilmId, LibraryError, escape_controls, parse_film_id
from talkies.runtime import write_atomically

SCHEMA_VERSION = 3  # 3: films know their other names, bars, channels and changes of picture
"""The version of every JSON document and table of a library; a reader refuses a newer one."""

Document = TypeVar("Document", bound=BaseModel)


class Verdict(StrEnum):
    """The decision of ingest on a film."""

    ACCEPTED = "accepted"
    WARNED = "accepted with warnings"
    REJECTED = "rejected"


class Reason(Config):
    """A reason for a verdict: a machine-readable code, a sentence for people, and whether it rejects the film."""

    code: str
    text: str
    rejects: bool = False


class Measures(Config):
    """What decoding a film from start to end showed: packets, frames of each kind of span, audio times and peak level.

    `origin_seconds` is the time of frame 0 on the source's timeline; the audio times are on the library's grid.
    `peak_dbfs` is in dB relative to full scale, None for digital silence. `sound_laid_end_to_end` says that the audio's
    timestamps were ignored. `sound_lost_in_mix_seconds` is for how long the mono mix lost the sound, so that only some
    channels were used; `sound_channels` (counted from 1) are those used for the whole film, empty for all. `changes` is
    how often the picture becomes another one, even if each stands for long. `damaged_start_packets` are the damaged
    video packets before the first picture that can be decoded.
    """

    video_packets: int
    audio_packets: int
    damaged_video_packets: int
    damaged_audio_packets: int
    origin_seconds: float
    sound_start_seconds: float | None
    sound_end_seconds: float | None
    sound_gaps: int
    sound_laid_end_to_end: bool = False
    sound_lost_in_mix_seconds: float = 0.0
    sound_channels: tuple[int, ...] = ()
    peak_dbfs: float | None
    black_frames: int
    still_frames: int
    silent_frames: int
    damaged_frames: int
    changes: int = 0
    damaged_start_packets: int = 0


class FilmRecord(Config):
    """Everything known about one film; times are in seconds on the library's grid, sizes in pixels of the proxy.

    `probe` is what the packets of the source show, `measures` what decoding them showed, `settings` are the settings
    of the ingest and `tools` the versions of the software. `source` is the path or URL of the film's file, as text;
    `other_sources` are the other ones at which the same bytes were found, such as the names before a renaming. `bars`
    are the stretches of frames whose pictures have bars burnt into them, in pixels of the proxy; None in the record of
    an ingest that did not look for them.
    """

    schema_version: int = SCHEMA_VERSION
    film_id: str
    source: str
    other_sources: tuple[str, ...] = ()
    source_bytes: int
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    duration_seconds: Annotated[float, Field(ge=0)] = 0.0
    frames: Annotated[int, Field(ge=0)] = 0
    width: int = 0
    height: int = 0
    shots: int = 0
    stored_bytes: int = 0
    probe: dict[str, JsonValue] | None = None
    measures: Measures | None = None
    bars: tuple[BarSpan, ...] | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)

    @property
    def id(self) -> FilmId:
        """The film's id."""
        return parse_film_id(self.film_id)

    @property
    def usable(self) -> bool:
        """Whether clips can be sampled from the film."""
        return self.verdict is not Verdict.REJECTED

    @property
    def sources(self) -> tuple[str, ...]:
        """All paths and URLs at which the film was found, the present one first."""
        return (self.source, *self.other_sources)

    @property
    def name(self) -> str:
        """The source's file name."""
        return self.source.rpartition("/")[2]

    @property
    def printable_name(self) -> str:
        """The source's file name without control characters, for messages."""
        return escape_controls(self.name)


def read_json(path: Path, kind: type[Document], what: str) -> Document:
    """Return the document at `path`, called `what` in error messages.

    Raises:
        LibraryError: if it cannot be read, was written by a newer version, or is not a document of this kind.
    """
    return read_document(path, kind, what, SCHEMA_VERSION, LibraryError)


def write_json(path: Path, document: BaseModel) -> None:
    """Write a document atomically: the file is complete or unchanged."""
    write_atomically(path, document.model_dump_json(indent=1))


def read_record(path: Path) -> FilmRecord:
    """Return the record in a `film.json`.

    Raises:
        LibraryError: as `read_json`.
    """
    return read_json(path, FilmRecord, "the record of a film")
