"""The audit's numbers as rows of text, for the page and for the terminal."""

from collections.abc import Callable
from dataclasses import dataclass

from talkies.evaluation.audit.values import Audit, AuditedModel, ChanceRecalls, Directions, Estimate
from talkies.evaluation.audit.verdict import TITLES
from talkies.evaluation.film_tasks.retrieval import RECALLS


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, of either model, with what chance gives."""

    what: str
    untrained: str
    trained: str
    chance: str
    shared: bool = False
    """Whether the number is of no model, and stands for both."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together, and a sentence on how to read them."""

    title: str
    reading: str
    rows: tuple[Row, ...]


def sections(found: Audit) -> tuple[Section, ...]:
    """Return the whole table."""
    return (_summary(found), _probes(found), *_retrievals(found))


def _summary(found: Audit) -> Section:
    def row(what: str, read: Callable[[AuditedModel], str], chance: str) -> Row:
        return Row(what, read(found.untrained), read(found.trained), chance)

    rows = (
        row("verdict", lambda model: TITLES[model.verdict], ""),
        row("reliance on the film (1: it knows films and nothing else)", lambda m: number(m.film_reliance), "0"),
        row("right first within the film, times chance", lambda m: number(m.lifts.within_film), "1"),
        row("right first among all films, times chance", lambda m: number(m.lifts.across_films), "1"),
        row("ratio of these two, within over all", lambda m: number(m.lifts.within_over_across), ""),
        row("log of the lift among all films: the film’s part", lambda m: plain(m.lifts.film_nats), "0"),
        row("log of the lift among all films: the moment’s part", lambda m: plain(m.lifts.moment_nats), "0"),
        row("share that the film explains", lambda m: percent(m.lifts.film_share), ""),
    )
    reading = "Both models, by the same rules. Brackets hold 95 % intervals; a dash: nothing to be measured."
    return Section("Summary", reading, rows)


def _probes(found: Audit) -> Section:
    chance = f"{100 * found.chance.film_probe:.1f} %"
    named = {
        "video_features": "features of the pictures",
        "video_embeddings": "embeddings of the pictures",
        "audio_features": "features of the sound",
        "audio_embeddings": "embeddings of the sound",
    }
    models = [
        Row(
            words,
            percent(getattr(found.untrained.film_probe, name)),
            percent(getattr(found.trained.film_probe, name)),
            chance,
        )
        for name, words in named.items()
    ]
    marks = {"palette": "palette alone", "spectrum": "mean spectrum alone", "loudness": "loudness alone"}
    told = [(words, percent(getattr(found.marks, name))) for name, words in marks.items()]
    rest = [Row(words, share, share, chance, shared=True) for words, share in told]
    reading = (
        "How often a linear classifier names the film of a clip from a stretch of time that it was not fitted on. What "
        "the marks alone give needs no model."
    )
    return Section("Which film is it?", reading, (*models, *rest))


def _retrievals(found: Audit) -> tuple[Section, ...]:
    chance = found.chance
    across, within = chance.across_films, chance.within_film
    pure = ", ".join(f"{100 * chance.pure_film_recogniser.at(k):.1f} % at {k}" for k in RECALLS)
    return (
        _retrieval(
            found, "Among the clips of its own film", "Palette and music do not help here.", "within_film", within
        ),
        _retrieval(found, "Among all clips of all films", "Here knowing the film helps.", "across_films", across),
        _retrieval(
            found,
            "Among all clips, each film’s mean removed",
            "What is common to a film’s embeddings is taken away. What is lost was the film.",
            "across_films_means_removed",
            across,
        ),
        _retrieval(
            found,
            "Within the film, its mean removed",
            "Little should change here.",
            "within_film_means_removed",
            within,
        ),
        _retrieval(
            found,
            "Control: sound shuffled within each film",
            f"Nothing can be found here but the film. A pure recogniser of films would get {pure}.",
            "shuffled",
            across,
        ),
    )


def _retrieval(found: Audit, title: str, reading: str, name: str, chance: ChanceRecalls) -> Section:
    rows = []
    for direction, words in (("video_to_audio", "sound of a picture"), ("audio_to_video", "picture of a sound")):
        before, after = (_of(model, name, direction) for model in (found.untrained, found.trained))
        rows += [
            Row(f"{words}, {_among(k)}", percent(before(k)), percent(after(k)), f"{100 * chance.at(k):.1f} %")
            for k in RECALLS
        ]
    return Section(title, reading, tuple(rows))


def _of(model: AuditedModel, name: str, direction: str) -> Callable[[int], Estimate]:
    directions: Directions = getattr(model.retrieval, name)
    at: Callable[[int], Estimate] = getattr(directions, direction).at
    return at


def _among(k: int) -> str:
    return "first" if k == 1 else f"among {k}"


def percent(estimate: Estimate | None) -> str:
    """Return an estimate in per cent with its interval, whose ends have a decimal if they need one; or a dash."""
    if estimate is None:
        return "–"
    low, high = (f"{100 * end:z.0f}" for end in (estimate.low, estimate.high))
    if low == high:  # it is narrower than a per cent, and not nothing
        low, high = (f"{100 * end:z.1f}" for end in (estimate.low, estimate.high))
    return f"{100 * estimate.mean:.1f} % [{low}–{high}]"


def number(estimate: Estimate | None) -> str:
    """Return an estimate with its interval, or a dash."""
    if estimate is None:
        return "–"
    return f"{plain(estimate.mean)} [{plain(estimate.low)}, {plain(estimate.high)}]"


def plain(value: float | None) -> str:
    """Return a number, or a dash."""
    return "–" if value is None else f"{value:z.2f}".replace("-", "−")
