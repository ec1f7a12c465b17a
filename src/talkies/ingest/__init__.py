"""From films to a library: discover, judge, make proxies, find shots, commit."""

from talkies.ingest.discover import discover
from talkies.ingest.pipeline import IngestReport, Ingested, ingest

__all__ = ["IngestReport", "Ingested", "discover", "ingest"]
