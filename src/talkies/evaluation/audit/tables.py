"""The audit's numbers as rows of text, for the page and for the terminal."""

from collections.abc import Callable
from dataclasses import dataclass

from talkies.evaluation.audit.values import Audit, AuditedModel, ChanceRecalls, Estimate
from talkies.evaluation.audit.verdict import TITLES
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.reporting import format_percent


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, the numbers of the untrained and the trained model, and the result of chance."""

    what: str
    untrained: str
    trained: str
    chance: str
    shared: bool = False
    """Whether the number is not of a model, and the same for both."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together, and a sentence on how to read them."""

    title: str
    reading: str
    rows: tuple[Row, ...]


def make_sections(audit: Audit) -> tuple[Section, ...]:
    """Return the whole table."""
    return (_make_summary(audit), _make_probe_section(audit), *_make_retrieval_sections(audit))


def format_percent_estimate(estimate: Estimate | None) -> str:
    """Return an estimate in per cent with its interval, whose ends have a decimal if they need one; or a dash."""
    if estimate is None:
        return "–"
    low, high = (f"{100 * end:z.0f}" for end in (estimate.low, estimate.high))
    if low == high:  # narrower than one per cent
        low, high = (f"{100 * end:z.1f}" for end in (estimate.low, estimate.high))
    return f"{format_percent(estimate.mean)} [{low}–{high}]"


def format_estimate(estimate: Estimate | None) -> str:
    """Return an estimate with its interval, or a dash."""
    if estimate is None:
        return "–"
    return f"{format_number(estimate.mean)} [{format_number(estimate.low)}, {format_number(estimate.high)}]"


def format_number(value: float | None) -> str:
    """Return a number with two decimals, or a dash."""
    return "–" if value is None else f"{value:z.2f}".replace("-", "−")


def _make_summary(audit: Audit) -> Section:
    def make_row(what: str, show: Callable[[AuditedModel], str], chance: str) -> Row:
        return Row(what, show(audit.untrained), show(audit.trained), chance)

    rows = (
        make_row("verdict", lambda m: TITLES[m.verdict], ""),
        make_row("reliance on the film (1: it knows only films)", lambda m: format_estimate(m.film_reliance), "0"),
        make_row("right first within the film, times chance", lambda m: format_estimate(m.lifts.within_film), "1"),
        make_row("right first among all films, times chance", lambda m: format_estimate(m.lifts.across_films), "1"),
        make_row("ratio of these two, within to all", lambda m: format_estimate(m.lifts.within_over_across), ""),
        make_row("log of the lift among all films: the film’s part", lambda m: format_number(m.lifts.film_nats), "0"),
        make_row(
            "log of the lift among all films: the moment’s part", lambda m: format_number(m.lifts.moment_nats), "0"
        ),
        make_row("share that the film explains", lambda m: format_percent_estimate(m.lifts.film_share), ""),
    )
    reading = "Both models, by the same rules. Brackets hold 95 % intervals; a dash: cannot be measured."
    return Section("Summary", reading, rows)


def _make_probe_section(audit: Audit) -> Section:
    chance = format_percent(audit.chance.film_probe)
    probes = {
        "video_features": "features of the pictures",
        "video_embeddings": "embeddings of the pictures",
        "audio_features": "features of the sound",
        "audio_embeddings": "embeddings of the sound",
    }
    rows = []
    for name, words in probes.items():
        before, after = (getattr(model.film_probe, name) for model in (audit.untrained, audit.trained))
        rows.append(Row(words, format_percent_estimate(before), format_percent_estimate(after), chance))

    cues = {"palette": "only the palette", "spectrum": "only the mean spectrum", "loudness": "only the loudness"}
    for name, words in cues.items():
        share = format_percent_estimate(getattr(audit.marks, name))
        rows.append(Row(words, share, share, chance, shared=True))

    reading = (
        "How often a linear classifier identifies the film of a clip from a stretch of time that it was not fitted on. "
        "The shortcut cues (palette, spectrum, loudness) need no model."
    )
    return Section("Which film is it?", reading, tuple(rows))


def _make_retrieval_sections(audit: Audit) -> tuple[Section, ...]:
    chance = audit.chance
    across, within = chance.across_films, chance.within_film
    pure = ", ".join(f"{format_percent(chance.pure_film_recogniser.at(k))} at {k}" for k in RECALLS)
    return (
        _make_retrieval_section(
            audit, "within_film", "Among the clips of its own film", "Palette and music do not help here.", within
        ),
        _make_retrieval_section(
            audit, "across_films", "Among all clips of all films", "Here knowing the film helps.", across
        ),
        _make_retrieval_section(
            audit,
            "across_films_means_removed",
            "Among all clips, each film’s mean removed",
            "What a film’s embeddings have in common is removed. What is lost was the film.",
            across,
        ),
        _make_retrieval_section(
            audit,
            "within_film_means_removed",
            "Within the film, its mean removed",
            "Little should change here.",
            within,
        ),
        _make_retrieval_section(
            audit,
            "shuffled",
            "Control: sound shuffled within each film",
            f"Only the film can be found here. A pure recogniser of films would get {pure}.",
            across,
        ),
    )


def _make_retrieval_section(audit: Audit, name: str, title: str, reading: str, chance: ChanceRecalls) -> Section:
    """Return the recalls of both directions, of the part of the retrieval with this name."""
    rows = []
    for direction, words in (("video_to_audio", "sound of a picture"), ("audio_to_video", "picture of a sound")):
        before, after = (
            getattr(getattr(model.retrieval, name), direction) for model in (audit.untrained, audit.trained)
        )
        for k in RECALLS:
            rank = "first" if k == 1 else f"among {k}"
            numbers = format_percent_estimate(before.at(k)), format_percent_estimate(after.at(k))
            rows.append(Row(f"{words}, {rank}", *numbers, format_percent(chance.at(k))))
    return Section(title, reading, tuple(rows))
