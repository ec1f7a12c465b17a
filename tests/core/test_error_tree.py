"""The exception tree: exit statuses, and errors that travel between processes."""

import pickle

import pytest

from talkies.core import (
    ConfigError,
    LibraryError,
    MediaError,
    PlanError,
    RunError,
    TalkiesError,
    UsageError,
    WorkError,
)


@pytest.mark.parametrize("kind", [ConfigError, LibraryError, MediaError, PlanError, RunError])
def test_what_cannot_be_used_is_a_usage_error_that_exits_with_two(kind: type[TalkiesError]) -> None:
    assert issubclass(kind, UsageError)
    assert kind.exit_status == 2


def test_work_that_failed_exits_with_one_and_is_no_usage_error() -> None:
    assert WorkError.exit_status == 1
    assert not issubclass(WorkError, UsageError)


def test_a_media_error_is_its_sentence_and_keeps_its_code() -> None:
    error = MediaError("no_audio", "film.mp4 has no sound")
    assert str(error) == "film.mp4 has no sound"
    assert error.code == "no_audio"


class _TornFileError(MediaError):
    """A media error of a narrower kind."""


@pytest.mark.parametrize("kind", [MediaError, _TornFileError])
def test_a_media_error_is_the_same_after_pickling(kind: type[MediaError]) -> None:
    back = pickle.loads(pickle.dumps(kind("no_audio", "film.mp4 has no sound")))
    assert type(back) is kind
    assert (back.code, str(back)) == ("no_audio", "film.mp4 has no sound")
