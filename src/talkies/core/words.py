"""Words for messages: suggestions for mistyped names, counted nouns, causes of system errors."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest_nearest(word: str, known: Iterable[str]) -> str:
    """Return `" (did you mean 'x'?)"` for the nearest of the `known` names, or an empty string if none is near."""
    matches = get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def describe_os_error(error: OSError) -> str:
    """Return why the system refused, in its own words: `no space left on device`."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun: `format_count(1, "film")` is `1 film`, `format_count(2, "film")` is `2 films`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
