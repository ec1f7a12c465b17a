"""Take films into a library: discover, probe, judge, convert, find shots, commit."""

from talkies.ingest.config import IngestConfig, build_config
from talkies.ingest.film import FailedFilm, IngestedFilm
from talkies.ingest.judge import IMPORTANCE
from talkies.ingest.pipeline import IngestReport, Progress, ingest
from talkies.ingest.source import discover

__all__ = [
    "IMPORTANCE",
    "FailedFilm",
    "IngestConfig",
    "IngestReport",
    "IngestedFilm",
    "Progress",
    "build_config",
    "discover",
    "ingest",
]
