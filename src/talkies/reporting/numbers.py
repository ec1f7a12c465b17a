"""Numbers as people read them: durations as a clock shows them, and shares as percentages."""


def format_clock(seconds: float, *, tenths: bool = False, short_in_seconds: bool = False) -> str:
    """Return a duration or a place in a film as a clock shows it: `1:02:03`, or `2:03` below an hour.

    Args:
        seconds: The duration or the place, in seconds.
        tenths: Whether to add tenths of a second: `62:03.4`. The minutes then count past 59, without hours.
        short_in_seconds: Whether a duration below a minute is shown in seconds: `12.3 s` instead of `0:12`.
    """
    if short_in_seconds and seconds < 59.95:  # from here on it would be shown as "60.0 s"
        return f"{seconds:.1f} s"

    if tenths:
        count = round(10 * seconds)
        return f"{count // 600}:{count // 10 % 60:02d}.{count % 10}"

    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_percent(share: float, digits: int | None = 1) -> str:
    """Return a share in per cent: `12.3 %`.

    Args:
        share: The share: 1 is everything.
        digits: The digits after the decimal point; `None` means one below 10 % and none from there on: `9.5 %`, `12 %`,
            `0 %`.
    """
    if digits is None:
        digits = 0 if share >= 0.1 or share == 0 else 1
    return f"{100 * share:.{digits}f} %"
