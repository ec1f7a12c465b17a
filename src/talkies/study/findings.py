"""The findings of a study: sentences made by rules from its numbers, each a line of `results.json`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from talkies.analysis.metric import Metric
from talkies.study.arms import PLAIN
from talkies.study.results import UNTRAINED, Comparison, StudyResults, Summary, get_plain_pair

TOWERS = (("concept_video", "pictures"), ("concept_audio", "sound"))


@dataclass(frozen=True, slots=True)
class Line:
    """A number in a sentence: the `id` of its line in `results.json`."""

    id: str


Sentence = tuple[str | Line, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: its title, its sentences, and the name of its figure."""

    title: str
    sentences: tuple[Sentence, ...]
    figure: str


def list_findings(results: StudyResults) -> list[Finding]:
    """Return all findings that the study's arms support, the claim first."""
    parts = (
        _describe_claim,
        _describe_film_identity,
        _describe_control,
        _describe_grid,
        _describe_policies,
        _describe_diversity,
        _describe_recurrence,
        _describe_batch_sizes,
        _describe_length,
        _describe_losses,
        _describe_sounds,
    )
    return [finding for part in parts for finding in part(results)]


def _describe_claim(results: StudyResults) -> Iterator[Finding]:
    random, within = get_plain_pair(results)
    k, batch = results.scale.pair_clips_per_film, results.scale.batch_clips
    won = [words for measure, words in TOWERS if _sign_of(results.comparison(within, measure)) > 0]
    verdict = {2: "The claim holds here, for both encoders.", 1: f"The claim holds here only for {''.join(won[:1])}."}
    scale = results.scale
    sentences: list[Sentence] = [
        (
            f"Films with shortcut cues of strength {scale.synth.mark_strength:g} (1 is the strongest), batches of "
            f"{batch} clips, the same number of clips seen by every model, {scale.pair_seeds} seeds. Random films: "
            f"every clip comes from another film. Within films: {k} clips of each film, and clips of other films have "
            f"the weight {scale.pair_cross_film_weight:g}.",
        )
    ]
    sentences += [
        (
            f"From {words}, the concept is recognised in ", _summary(within, measure), " of the unseen films' clips, "
            "with random films in ", _summary(random, measure), ", untrained in ",
            _summary(f"{UNTRAINED}-{PLAIN}", measure), ": ", _comparison(within, measure), ".",
        )
        for measure, words in TOWERS
    ]  # fmt: skip
    sentences.append((verdict.get(len(won), "The claim is not confirmed here: no interval lies above 0."),))
    yield Finding("Negatives of the same film", tuple(sentences), "pair")


def _describe_film_identity(results: StudyResults) -> Iterator[Finding]:
    random, within = get_plain_pair(results)
    sentences: list[Sentence] = []
    for measure, words in (("film_video", "pictures"), ("film_audio", "sound")):
        before, after, other = (results.summary(name, measure) for name in (f"{UNTRAINED}-{PLAIN}", random, within))
        sentences.append(
            (
                f"From {words}, the film is identified in ", _summary(f"{UNTRAINED}-{PLAIN}", measure),
                " of the clips before training, in ", _summary(random, measure), " with random films, in ",
                _summary(within, measure), " within films: ", _comparison(within, measure),
                f". {_describe_film_change(before, after, other)}",
            )
        )  # fmt: skip
    yield Finding("What happens to film identity", tuple(sentences), "shortcut")


def _describe_film_change(before: Summary | None, random: Summary | None, within: Summary | None) -> str:
    """Return how training changed the identification of films, where intervals do not overlap."""
    effect = {1: "increase it", 0: "hardly change it", -1: "decrease it"}
    first, second = (effect[_compare_intervals(after, before)] for after in (random, within))
    return f"Random films {first}; negatives within films {second}."


def _describe_control(results: StudyResults) -> Iterator[Finding]:
    pairs, own = results.of_pair("marks"), get_plain_pair(results)[1]
    if not pairs:
        return
    least = pairs[0][1]
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        parts: list[str | Line] = [f"From {words}, the advantage of negatives within films is "]
        for _, within in pairs:
            parts += [_comparison(within["name"], measure), f" with cues of strength {within['at']:g}, "]
        parts += [_comparison(own, measure), f" with cues of strength {results.scale.synth.mark_strength:g}."]
        sentences.append(tuple(parts))
        without, full = results.comparison(least["name"], measure), results.comparison(own, measure)
        change = results.change(least["name"], measure)
        if without and full and change and least["at"] == 0 and _sign_of(full) > 0:
            line = Line(change.id)
            sentences.append(
                (f"Without cues it {_describe_change(without, full, change)}: paired by seed it changes by ", line, ".")
            )
    yield Finding("The control: films without shortcut cues", tuple(sentences), "marks")


def _describe_change(without: Comparison, full: Comparison, change: Comparison) -> str:
    """Return how an advantage changes."""
    if _sign_of(without) < 0:
        return "reverses, and random films are better there"
    if without.high is not None and _sign_of(without) == 0 and without.high < full.mean / 2:
        return "vanishes"
    if _sign_of(change) < 0:
        return "shrinks"
    return "does not surely change" if _sign_of(change) == 0 else "grows"


def _describe_grid(results: StudyResults) -> Iterator[Finding]:
    arms = [arm for arm in results.arms if arm["grid"]]
    if len(arms) < 4:
        return
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        ranked = sorted(arms, key=lambda arm: -average_common_seeds(results, arm["name"], measure))
        best, next_best, worst = ranked[0], ranked[1], ranked[-1]
        ties = [arm for arm in ranked[1:] if not _is_better(results, best["name"], arm["name"], measure)]
        also = (
            f"; it is not surely better than {_join_names(ties)}"
            if ties
            else f", surely better than {_name_arm(next_best)}"
        )
        sentences.append(
            (
                f"From {words}, the best is {_name_arm(best)}: ", _summary(best["name"], measure),
                f"{also}. The worst is {_name_arm(worst)}: ", _summary(worst["name"], measure), ".",
            )
        )  # fmt: skip
    yield Finding("Clips per film and the weight of other films", tuple(sentences), "grid")


def _join_names(arms: Sequence[dict[str, Any]]) -> str:
    return "; ".join(_name_arm(arm) for arm in arms)


def _is_better(results: StudyResults, one: str, other: str, measure: str) -> bool:
    """Return whether one arm's measure is surely larger than another's, over the seeds that both have."""
    first, second = (collect_by_seed(results, name, measure) for name in (one, other))
    difference = Metric.of([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])
    return difference.low is not None and difference.low > 0


def _name_arm(arm: dict[str, Any]) -> str:
    return "random films" if arm["pair"] == "random" else str(arm["words"])


def _describe_policies(results: StudyResults) -> Iterator[Finding]:
    others = [arm for arm in results.arms if arm["axis"] == "sampling" and not arm["grid"]]
    sentences = tuple(
        (
            f"{str(arm['words'])[0].upper()}{str(arm['words'])[1:]}: from pictures ",
            _summary(arm["name"], "concept_video"),
            ", from sound ", _summary(arm["name"], "concept_audio"), "; relative to random films ",
            _comparison(arm["name"], "concept_video"), " and ",
            _comparison(arm["name"], "concept_audio"), ".",
        )
        for arm in others
    )  # fmt: skip
    if sentences:
        yield Finding("Other policies: positives, windows, schedules", sentences, "policies")


def _describe_diversity(results: StudyResults) -> Iterator[Finding]:
    pairs = results.of_pair("diversity")
    if not pairs:
        return
    sentences = [*_describe_advantages(results, "diversity", "with {at:g} concepts in a film")]
    one_film_arms = [arm for arm in results.arms if arm["axis"] == "diversity" and arm["pair"] is None]
    for arm in one_film_arms:
        name, several_films = arm["name"], next(within for _, within in pairs if within["at"] == arm["at"])
        sentences.append(
            (
                f"All are measured on films with all concepts. With all {arm['clips_per_film']} clips from one film "
                f"and {arm['at']:g} concepts in it, one negative in {arm['at']:g} shows the same thing: concepts are "
                "recognised in ", _summary(name, "concept_video"), " from pictures and ",
                _summary(name, "concept_audio"), " from sound; with fewer clips from more films in ",
                _summary(several_films["name"], "concept_video"), " and ",
                _summary(several_films["name"], "concept_audio"), ".",
            )
        )  # fmt: skip
    yield Finding("Diversity within a film, and false negatives", tuple(sentences), "diversity")


def _describe_recurrence(results: StudyResults) -> Iterator[Finding]:
    if results.of_pair("recurrence"):
        sentences = _describe_advantages(results, "recurrence", "with {nature}")
        yield Finding("Recurrence of places and characters", tuple(sentences), "recurrence")


def _describe_batch_sizes(results: StudyResults) -> Iterator[Finding]:
    if results.of_pair("batch"):
        same: Sentence = (
            "The number of clips seen is the same, in more or fewer steps; the learning rate is that of the recipe.",
        )
        sentences = (*_describe_advantages(results, "batch", "with {at:g} clips in a batch"), same)
        yield Finding("Batch size", sentences, "batch")


def _describe_advantages(results: StudyResults, axis: str, where: str) -> Iterator[Sentence]:
    own = get_plain_pair(results)[1]
    for measure, words in TOWERS:
        parts: list[str | Line] = [f"From {words}, the advantage of negatives within films is "]
        for _, within in results.of_pair(axis):
            words_of = where.format(at=within["at"], nature=within["nature"].replace("-", " "))
            parts += [_comparison(within["name"], measure), f" {words_of}, "]
        yield (*parts, _comparison(own, measure), " on the films of the pair.")


def _describe_length(results: StudyResults) -> Iterator[Finding]:
    random, within = get_plain_pair(results)
    steps = [step for step in results.scale.measured_steps if step != results.scale.steps]
    if not steps:
        return
    sentences: list[Sentence] = []
    for measure, words in TOWERS:
        parts: list[str | Line] = [f"From {words}: "]
        for step in steps:
            parts += [
                _summary(f"{within}@{step}", measure),
                " within films and ",
                _summary(f"{random}@{step}", measure),
            ]
            parts += [f" with random films after {step} steps; "]
        sentences.append((*parts, _summary(within, measure), " and ", _summary(random, measure), " at the end."))
    yield Finding("Over the course of training", tuple(sentences), "length")


def _describe_losses(results: StudyResults) -> Iterator[Finding]:
    if any("loss_which_film" in cell.curves for cell in results.cells):
        words = (
            "The plain contrastive loss is a sum of two parts: which film a clip comes from, and which clip of that "
            "film it is. With one clip per film there is no second part, and everything learnt answers the first."
        )
        yield Finding("The two parts of the loss", ((words,),), "losses")


def _describe_sounds(results: StudyResults) -> Iterator[Finding]:
    for random, within in results.of_pair("sound"):
        name, other = within["name"], random["name"]
        sentences: tuple[Sentence, ...] = (
            (
                "Films whose concepts have recorded sounds; then a linear classifier of other recordings, which no "
                "film contained: ", _summary(name, "sounds_accuracy"), " within films, ",
                _summary(other, "sounds_accuracy"), " with random films, ",
                _summary(other, "sounds_accuracy_untrained"), " untrained, ",
                _summary(other, "sounds_accuracy_statistics"), " from log-mel statistics without learning: ",
                _comparison(name, "sounds_accuracy"), " relative to random films.",
            ),
            (
                "On the unseen films themselves, the class is recognised from sound in ",
                _summary(name, "concept_audio"), " within films and in ", _summary(other, "concept_audio"),
                " with random films; from pictures in ",
                _summary(name, "concept_video"), " and ", _summary(other, "concept_video"), ". (Those films contain "
                "recordings that the training films contained too.)",
            ),
        )  # fmt: skip
        yield Finding("Real sound", sentences, "sounds")


def _summary(arm: str, measure: str) -> Line:
    return Line(f"summaries:{arm}:{measure}")


def _comparison(arm: str, measure: str) -> Line:
    return Line(f"comparisons:{arm}:{measure}")


def collect_by_seed(results: StudyResults, arm: str, measure: str) -> dict[int, float]:
    """Return a measure of an arm at its end, by seed."""
    return {trial.seed: trial.judged[-1].measures[measure] for trial in results.cells if trial.arm == arm}


def average_common_seeds(results: StudyResults, arm: str, measure: str) -> float:
    """Return the mean of a measure over the seeds that all arms have."""
    values = [value for seed, value in collect_by_seed(results, arm, measure).items() if seed < results.scale.seeds]
    return sum(values) / len(values)


def _compare_intervals(one: Summary | None, other: Summary | None) -> int:
    """Return 1 if one interval lies entirely above another, -1 if below, 0 if they overlap."""
    if one is None or other is None or None in (one.low, one.high, other.low, other.high):
        return 0
    above = float(one.low or 0) > float(other.high or 0)
    return 1 if above else -1 if float(one.high or 0) < float(other.low or 0) else 0


def _sign_of(comparison: Comparison | None) -> int:
    """Return 1 if the interval of a difference lies entirely above 0, -1 if below, 0 otherwise."""
    if comparison is None or comparison.low is None or comparison.high is None:
        return 0
    return 1 if comparison.low > 0 else -1 if comparison.high < 0 else 0
