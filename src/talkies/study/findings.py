"""What a study's numbers say, in sentences by rule: each number is a line of `results.json`."""

from collections.abc import Iterator
from dataclasses import dataclass

from talkies.study.arms import PLAIN
from talkies.study.results import UNTRAINED, Comparison, StudyResults, plain_pair

TOWERS = (("concept_video", "pictures"), ("concept_audio", "sound"))


@dataclass(frozen=True, slots=True)
class Line:
    """A number in a sentence, by the `id` of its line in `results.json`."""

    id: str


Sentence = tuple[str | Line, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: its title, what was found, and the name of the figure that shows it."""

    title: str
    sentences: tuple[Sentence, ...]
    figure: str


def findings_of(results: StudyResults) -> list[Finding]:
    """Return all findings that the study's arms allow, the claim first."""
    parts = (_claim, _shortcut, _marks, _grid, _policies, _diversity, _recurrence, _batch, _length, _losses, _sounds)
    return [finding for part in parts for finding in part(results)]


def _claim(results: StudyResults) -> Iterator[Finding]:
    random, within = plain_pair(results)
    k, batch = results.scale.pair_clips_per_film, results.scale.batch_clips
    won = [words for measure, words in TOWERS if _sure(results.comparison(within, measure)) > 0]
    verdict = {2: "The claim holds here, for both encoders.", 1: f"The claim holds here for {''.join(won[:1])} alone."}
    sentences: list[Sentence] = [
        (
            f"Films with strong marks, batches of {batch} clips, the same number of clips seen by all, "
            f"{results.scale.pair_seeds} seeds. Random films: every clip of another film. Within films: {k} clips of "
            f"each, and the other films' clips weigh {results.scale.pair_cross_film_weight:g}.",
        )
    ]
    sentences += [
        (
            f"From {words}, the concept is told of ", _of(within, measure), " of the unseen films' clips, with random "
            "films of ", _of(random, measure), ", untrained of ", _of(f"{UNTRAINED}-{PLAIN}", measure), ": ",
            _more(within, measure), ".",
        )
        for measure, words in TOWERS
    ]  # fmt: skip
    sentences.append((verdict.get(len(won), "The claim does not show here: no interval lies above 0."),))
    yield Finding("Negatives of the same film", tuple(sentences), "pair")


def _shortcut(results: StudyResults) -> Iterator[Finding]:
    random, within = plain_pair(results)
    sentences = tuple(
        (
            f"From {words}, the film is told of ", _of(random, measure), " of the clips with random films, of ",
            _of(within, measure), " within films: ", _more(within, measure), ".",
        )
        for measure, words in (("film_video", "pictures"), ("film_audio", "sound"))
    )  # fmt: skip
    told = [_sure(results.comparison(within, measure)) for measure in ("film_video", "film_audio")]
    less = "Within films, the encoders know less of the film itself: the shortcut is not worth learning."
    same = (
        "How well the film is told does not fall in both encoders: what is left out of the loss is not all forgotten."
    )
    yield Finding("What is not learnt: the film", (*sentences, (less if max(told) < 0 else same,)), "shortcut")


def _marks(results: StudyResults) -> Iterator[Finding]:
    pairs, own = results.of_pair("marks"), plain_pair(results)[1]
    if not pairs:
        return
    least = pairs[0][1]
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        told: list[str | Line] = [f"From {words}, the advantage of negatives within films is "]
        for _, within in pairs:
            told += [_more(within["name"], measure), f" with marks of strength {within['at']:g}, "]
        told += [_more(own, measure), f" with marks of strength {results.scale.synth.mark_strength:g}."]
        sentences.append(tuple(told))
        without, full = results.comparison(least["name"], measure), results.comparison(own, measure)
        if without and full and least["at"] == 0 and _sure(full) > 0:
            sentences.append((f"Without marks it {_fate(without, full)}.",))
    yield Finding("Where films bear no marks: the control", tuple(sentences), "marks")


def _fate(without: Comparison, full: Comparison) -> str:
    """Return what becomes of an advantage."""
    sure = _sure(without)
    if sure == 0:
        return "vanishes: the interval holds 0"
    if sure < 0:
        return "turns round: random films are the better there"
    return "shrinks to less than half" if without.mean < full.mean / 2 else "stays: the theory does not explain that"


def _grid(results: StudyResults) -> Iterator[Finding]:
    arms = [arm for arm in results.arms if arm["axis"] == "sampling" and len(arm["sets"]) == 3]
    if len(arms) < 4:
        return
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        best = max(arms, key=lambda arm: _mean(results, arm["name"], measure))
        worst = min(arms, key=lambda arm: _mean(results, arm["name"], measure))
        sentences.append(
            (
                f"From {words}, best with {_described(best)}: ", _of(best["name"], measure), "; worst with "
                f"{_described(worst)}: ", _of(worst["name"], measure), ".",
            )
        )  # fmt: skip
    yield Finding("How many clips of a film, and what the other films weigh", tuple(sentences), "grid")


def _described(arm: dict[str, object]) -> str:
    return "random films" if arm["pair"] == "random" else str(arm["words"])


def _policies(results: StudyResults) -> Iterator[Finding]:
    others = [arm for arm in results.arms if arm["axis"] == "sampling" and len(arm["sets"]) > 3]
    sentences = tuple(
        (
            f"{str(arm['words'])[0].upper()}{str(arm['words'])[1:]}: from pictures ", _of(arm["name"], "concept_video"),
            ", from sound ", _of(arm["name"], "concept_audio"), "; than random films ",
            _more(arm["name"], "concept_video"), " and ", _more(arm["name"], "concept_audio"), ".",
        )
        for arm in others
    )  # fmt: skip
    if sentences:
        yield Finding("Other ways: positives, windows, schedules", sentences, "policies")


def _diversity(results: StudyResults) -> Iterator[Finding]:
    pairs = results.of_pair("diversity")
    if not pairs:
        return
    sentences = [*_advantages(results, "diversity", "with {at:g} concepts in a film")]
    whole = [arm for arm in results.arms if arm["axis"] == "diversity" and arm["pair"] is None]
    for arm in whole:
        name, alike = arm["name"], next(within for _, within in pairs if within["at"] == arm["at"])
        sentences.append(
            (
                f"With all {arm['clips_per_film']} clips of one film and {arm['at']:g} concepts in it, one negative in "
                f"{arm['at']:g} is the same thing: the concept is told of ", _of(name, "concept_video"),
                " from pictures and ", _of(name, "concept_audio"), " from sound; with fewer clips of more films of ",
                _of(alike["name"], "concept_video"), " and ", _of(alike["name"], "concept_audio"), ".",
            )
        )  # fmt: skip
    yield Finding("How much a film holds, and false negatives", tuple(sentences), "diversity")


def _recurrence(results: StudyResults) -> Iterator[Finding]:
    if results.of_pair("recurrence"):
        sentences = _advantages(results, "recurrence", "with {at:g} places in a film")
        yield Finding("How often places and characters come back", tuple(sentences), "recurrence")


def _batch(results: StudyResults) -> Iterator[Finding]:
    if results.of_pair("batch"):
        sentences = _advantages(results, "batch", "with {at:g} clips in a batch")
        yield Finding("Smaller batches, as many clips seen", tuple(sentences), "batch")


def _advantages(results: StudyResults, axis: str, where: str) -> Iterator[Sentence]:
    own = plain_pair(results)[1]
    for measure, words in TOWERS:
        told: list[str | Line] = [f"From {words}, the advantage of negatives within films is "]
        for _, within in results.of_pair(axis):
            told += [_more(within["name"], measure), f" {where.format(at=within['at'])}, "]
        yield (*told, _more(own, measure), " on the films of the pair.")


def _length(results: StudyResults) -> Iterator[Finding]:
    random, within = plain_pair(results)
    steps = [step for step in results.scale.judged_steps if step != results.scale.steps]
    if not steps:
        return
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        told: list[str | Line] = [f"From {words}: "]
        for step in steps:
            told += [_of(f"{within}@{step}", measure), " within films and ", _of(f"{random}@{step}", measure)]
            told += [f" with random films after {step} steps; "]
        sentences.append((*told, _of(within, measure), " and ", _of(random, measure), " at the end."))
    yield Finding("As training goes on", tuple(sentences), "length")


def _losses(results: StudyResults) -> Iterator[Finding]:
    if any("loss_which_film" in cell.curves for cell in results.cells):
        words = (
            "The loss of plain contrast is the sum of two: which film a clip is of, and which clip of that film. With "
            "one clip of each film there is no second question, and all that is learnt answers the first."
        )
        yield Finding("The two questions of the loss", ((words,),), "losses")


def _sounds(results: StudyResults) -> Iterator[Finding]:
    for random, within in results.of_pair("sound"):
        name, other = within["name"], random["name"]
        sentences: tuple[Sentence, ...] = (
            (
                "Films whose concepts sound like recordings; then a linear classifier of others that no film held: ",
                _of(name, "sounds_accuracy"), " within films, ", _of(other, "sounds_accuracy"), " with random films, ",
                _of(other, "sounds_accuracy_untrained"), " untrained, ", _of(other, "sounds_accuracy_statistics"),
                " from log-mel statistics without learning: ", _more(name, "sounds_accuracy"), " than random films.",
            ),
            (
                "On the unseen films themselves, the class is told from sound of ", _of(name, "concept_audio"),
                " within films and of ", _of(other, "concept_audio"), " with random films; from pictures of ",
                _of(name, "concept_video"), " and ", _of(other, "concept_video"), ".",
            ),
        )  # fmt: skip
        yield Finding("Real sound", sentences, "sounds")


def _of(arm: str, measure: str) -> Line:
    return Line(f"summaries:{arm}:{measure}")


def _more(arm: str, measure: str) -> Line:
    return Line(f"comparisons:{arm}:{measure}")


def _mean(results: StudyResults, arm: str, measure: str) -> float:
    summary = results.summary(arm, measure)
    return summary.mean if summary else 0.0


def _sure(comparison: Comparison | None) -> int:
    """Return 1 or -1 if the interval lies wholly above or below nothing, else 0."""
    if comparison is None or comparison.low is None or comparison.high is None:
        return 0
    return 1 if comparison.low > 0 else -1 if comparison.high < 0 else 0
