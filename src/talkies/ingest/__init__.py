"""From films to a library: discover, probe, judge, make proxies, find shots, commit."""

from talkies.ingest.config import IngestConfig, configured
from talkies.ingest.film import Failed, Ingested
from talkies.ingest.judge import IMPORTANCE
from talkies.ingest.pipeline import IngestReport, Progress, ingest
from talkies.ingest.source import discover

__all__ = [
    "IMPORTANCE",
    "Failed",
    "IngestConfig",
    "IngestReport",
    "Ingested",
    "Progress",
    "configured",
    "discover",
    "ingest",
]
