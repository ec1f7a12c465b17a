"""The audit's numbers as rows of text, for the page and for the terminal."""

from collections.abc import Callable
from dataclasses import dataclass

from talkies.core import Modality
from talkies.evaluation.audit.neighbours import CUE_OF, count_pairs
from talkies.evaluation.audit.values import Audit, AuditedModel, ChanceRecalls, Estimate, Neighbours
from talkies.evaluation.audit.verdict import TITLES
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.reporting import format_percent


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, the numbers of the compared and of the audited model, and the result of chance."""

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
    """Return the whole table: what pictures and sounds find of each other only if they can be compared."""
    joint = audit.trained.retrieval is not None
    return (
        *([_make_summary(audit)] if joint else []),
        _make_probe_section(audit),
        *(_make_retrieval_sections(audit) if joint else []),
        *(make_neighbour_section(audit, modality) for modality in audit.trained.neighbours),
    )


def name_columns(audit: Audit) -> tuple[str, str]:
    """Return the headings of the columns of the compared and of the audited model."""
    if audit.license is None:
        return "untrained", "trained"
    return ("shuffled" if audit.untrained else "–"), "model"


def make_neighbour_section(audit: Audit, modality: Modality) -> Section:
    """Return what one modality finds of neighbouring clips, and what its shortcut cue finds."""
    own, cue = audit.trained.neighbours[modality], audit.cue_neighbours[modality]
    other = audit.untrained.neighbours.get(modality) if audit.untrained else None
    clips = sum(count_pairs(film.clips) for film in audit.films)

    def make_row(what: str, show: Callable[[Neighbours], str], chance: str) -> Row:
        return Row(what, show(other) if other else "–", show(own), chance)

    def show_within(k: int) -> Callable[[Neighbours], str]:
        return lambda found: format_percent_estimate(found.within_film.at(k))

    ranks = {1: "first", 5: "among 5", 10: "among 10"}
    rows = [
        make_row(f"{words} within its film", show_within(k), format_percent(own.chance.at(k)))
        for k, words in ranks.items()
    ]
    cue_share = format_percent_estimate(cue.within_film.recall_at_1)
    cue_name = f"the same by {CUE_OF[modality]} alone, first"
    rows += [
        Row(cue_name, cue_share, cue_share, format_percent(own.chance.recall_at_1), shared=True),
        make_row("points more than that, first", lambda found: format_percent_estimate(found.gain), "0.0 %"),
        make_row(
            "first among all films",
            lambda found: format_percent_estimate(found.across_films.recall_at_1),
            format_percent(1 / clips),
        ),
        make_row(
            "the same, each film’s mean removed",
            lambda found: format_percent_estimate(found.across_films_means_removed.recall_at_1),
            format_percent(1 / clips),
        ),
        make_row("reliance on the film", lambda found: format_estimate(found.film_reliance), "0"),
        make_row("verdict", lambda found: TITLES[found.verdict], ""),
    ]
    name = {"video": "picture", "audio": "sound"}[modality]
    reading = f"Does the {name} of a clip find that of the clip next to it? Neighbours share light, place and music."
    return Section(f"The moment next to it, by {name} alone", reading, tuple(rows))


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
        return Row(what, show(audit.untrained) if audit.untrained else "–", show(audit.trained), chance)

    def show_lift(name: str) -> Callable[[AuditedModel], str]:
        return lambda model: format_estimate(getattr(model.lifts, name))

    def show_nats(name: str) -> Callable[[AuditedModel], str]:
        return lambda model: format_number(getattr(model.lifts, name))

    def show_share(model: AuditedModel) -> str:
        return format_percent_estimate(model.lifts.film_share if model.lifts else None)

    rows = (
        make_row("verdict", lambda m: TITLES[m.verdict], ""),
        make_row("reliance on the film (1: it knows only films)", lambda m: format_estimate(m.film_reliance), "0"),
        make_row("right first within the film, times chance", show_lift("within_film"), "1"),
        make_row("right first among all films, times chance", show_lift("across_films"), "1"),
        make_row("ratio of these two, within to all", show_lift("within_over_across"), ""),
        make_row("log of the lift among all films: the film’s part", show_nats("film_nats"), "0"),
        make_row("log of the lift among all films: the moment’s part", show_nats("moment_nats"), "0"),
        make_row("share that the film explains", show_share, ""),
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
        after = getattr(audit.trained.film_probe, name)
        if after is None:
            continue
        before = getattr(audit.untrained.film_probe, name) if audit.untrained else None
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
        after = getattr(getattr(audit.trained.retrieval, name), direction)
        before = getattr(getattr(audit.untrained.retrieval, name), direction) if audit.untrained else None
        for k in RECALLS:
            rank = "first" if k == 1 else f"among {k}"
            numbers = format_percent_estimate(before.at(k) if before else None), format_percent_estimate(after.at(k))
            rows.append(Row(f"{words}, {rank}", *numbers, format_percent(chance.at(k))))
    return Section(title, reading, tuple(rows))
