"""The library on disk: its profile, its films and their atomic commit, and its catalogue."""

from talkies.library.catalogue import SHOT, Annotations, FilmEntry, write_annotations
from talkies.library.library import Library
from talkies.library.profile import Profile
from talkies.library.record import (
    SCHEMA_VERSION,
    FilmRecord,
    Measures,
    Reason,
    Verdict,
    read_json,
    read_record,
    write_json,
)

__all__ = [
    "SCHEMA_VERSION",
    "SHOT",
    "Annotations",
    "FilmEntry",
    "FilmRecord",
    "Library",
    "Measures",
    "Profile",
    "Reason",
    "Verdict",
    "read_json",
    "read_record",
    "write_annotations",
    "write_json",
]
