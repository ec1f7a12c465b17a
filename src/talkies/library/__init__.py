"""The library on disk: its profile, its films and their atomic commit, and its catalogue."""

from talkies.library.catalogue import SHOT, Annotations, FilmEntry, write_annotations
from talkies.library.library import Library
from talkies.library.profile import (
    PROFILES,
    Profile,
    ProfileChoice,
    choose_profile,
    describe_shortfall,
    find_profile,
)
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
    "PROFILES",
    "SCHEMA_VERSION",
    "SHOT",
    "Annotations",
    "FilmEntry",
    "FilmRecord",
    "Library",
    "Measures",
    "Profile",
    "ProfileChoice",
    "Reason",
    "Verdict",
    "choose_profile",
    "describe_shortfall",
    "find_profile",
    "read_json",
    "read_record",
    "write_annotations",
    "write_json",
]
