"""From films to a library: discover, probe, judge, make proxies, find shots, commit."""

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
