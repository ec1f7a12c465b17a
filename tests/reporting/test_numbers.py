"""Durations and shares as pages, tables and summaries show them."""

import pytest

from talkies.reporting import format_clock, format_percent


@pytest.mark.parametrize(
    ("seconds", "clock", "tenths", "short"),
    [
        (0.0, "0:00", "0:00.0", "0.0 s"),
        (12.34, "0:12", "0:12.3", "12.3 s"),
        (59.94, "1:00", "0:59.9", "59.9 s"),
        (59.95, "1:00", "1:00.0", "1:00"),
        (83.56, "1:24", "1:23.6", "1:24"),
        (3599.6, "1:00:00", "59:59.6", "1:00:00"),
        (3723.0, "1:02:03", "62:03.0", "1:02:03"),
    ],
)
def test_a_duration_reads_as_a_clock(seconds: float, clock: str, tenths: str, short: str) -> None:
    assert format_clock(seconds) == clock
    assert format_clock(seconds, tenths=True) == tenths
    assert format_clock(seconds, short_in_seconds=True) == short


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.1234, 1, "12.3 %"),
        (0.1234, 0, "12 %"),
        (1.0, 1, "100.0 %"),
        (0.0949, None, "9.5 %"),
        (0.1234, None, "12 %"),
        (0.0, None, "0 %"),
    ],
)
def test_a_share_reads_as_a_percentage(share: float, digits: int | None, text: str) -> None:
    assert format_percent(share, digits) == text
