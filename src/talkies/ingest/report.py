"""The audit as a page: every film of a library with its verdict, its reasons and its thumbnails."""

from collections.abc import Sequence

from talkies.ingest.film import Ingested
from talkies.library import Library

REPORT_NAME = "ingest.html"


def write_report(library: Library, films: Sequence[Ingested]) -> None:
    """Write `ingest.html` into the library's folder."""
