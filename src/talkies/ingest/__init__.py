"""From films to a library: discover, judge, make proxies, find shots, commit."""

from talkies.ingest.discover import discover
from talkies.ingest.film import Ingested
from talkies.ingest.pipeline import IngestReport, ingest

__all__ = ["IngestReport", "Ingested", "discover", "ingest"]
