"""Films for the tests of media: pictures that encode their own number, and files with freely chosen tracks."""

import pytest
from hypothesis import settings
from media_writers import CodedFilms, Reel

settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("same-every-time")


@pytest.fixture
def reel() -> type[Reel]:
    """The writer of media files, track by track."""
    return Reel


@pytest.fixture(scope="session")
def coded() -> CodedFilms:
    """The writer and reader of films whose pictures say their own number."""
    return CodedFilms()
