"""Add films to a library: discover, probe, judge, convert, find shots, commit."""

from talkies.ingestion.config import IngestConfig, build_config
from talkies.ingestion.film import FailedFilm, IngestedFilm
from talkies.ingestion.judge import IMPORTANCE
from talkies.ingestion.pipeline import IngestReport, Progress, ingest
from talkies.ingestion.source import discover

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
