"""The findings of a study: sentences made by rules from its numbers, each a line of `results.json`."""

from collections.abc import Iterator
from dataclasses import dataclass

from talkies.study.arms import describe_point
from talkies.study.results import StudyResults
from talkies.study.scale import PLAIN, UNTRAINED, USUAL, Family, Point
from talkies.study.statistics import Contrast

SENSES = {"video": "pictures", "audio": "sound"}
VERDICTS = {
    "better": "more",
    "worse": "less",
    "equivalent": "the same within the margin",
    "undecided": "undecided",
}
_FILM_MEASURES = (("film_video", "pictures"), ("film_audio", "sound"))


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
    """Return a finding for each family of contrasts, and one about how well films are told apart."""
    families = [_describe_family(results, key, family) for key, family in results.scale.families.items()]
    return [*families, *_describe_film_identity(results)]


def _describe_family(results: StudyResults, key: str, family: Family) -> Finding:
    """Return a family's question and a sentence for each of its contrasts."""
    contrasts = {(each.arm, each.against, each.measure): each for each in results.list_contrasts(key)}
    sentences = [_describe_contrast(results, contrast) for contrast in contrasts.values()]
    return Finding(family.title, ((family.question,), *sentences), key)


def _describe_contrast(results: StudyResults, contrast: Contrast) -> Sentence:
    """Return how much more one arm reaches than another, and what the corrected test says of it."""
    return (
        f"{describe_arm_point(results, contrast.arm)}, {describe_measure(contrast.measure)}: ",
        Line(f"summaries:{contrast.arm}:{contrast.measure}"), f" with {name_sampling(results, contrast.arm)}, ",
        Line(f"summaries:{contrast.against}:{contrast.measure}"), f" {_add_with(results, contrast.against)}: ",
        Line(contrast.id), f", {VERDICTS[contrast.verdict]}.",
    )  # fmt: skip


def describe_arm_point(results: StudyResults, name: str) -> str:
    """Return the point of an arm in words."""
    arm = results.arm(name)
    assert arm is not None, "contrasts are of trained arms"
    point = Point(arm["nature"], arm["films"], arm["length"], arm["batch"], arm["variant"])
    return describe_point(results.scale, point)


def name_sampling(results: StudyResults, name: str) -> str:
    """Return the sampling of an arm in words."""
    arm = results.arm(name)
    return "an untrained model" if arm is None else str(arm["words"])


def _add_with(results: StudyResults, name: str) -> str:
    arm = results.arm(name)
    return "untrained" if arm is None else f"with {arm['words']}"


def describe_measure(measure: str) -> str:
    """Return what an endpoint measures, in a few words."""
    kind, _, modality = measure.rpartition("_")
    if modality in SENSES and kind in ("concept", "halves"):
        return f"concept from {SENSES[modality]}" + (" (probe of unseen films)" if kind == "halves" else "")
    return {
        "within_film_recall_at_1": "recall at 1 within the film",
        "sounds_accuracy": "class of clean recordings",
        "film_video": "film from pictures",
        "film_audio": "film from sound",
    }.get(measure, measure)


def _describe_film_identity(results: StudyResults) -> Iterator[Finding]:
    """Yield how well a clip's film can be recognised before and after training, at the first point of plain films."""
    arms = [arm for arm in results.arms if arm["nature"] == PLAIN and arm["variant"] == USUAL]
    if not arms:
        return
    first = [arm for arm in arms if (arm["films"], arm["length"]) == (arms[0]["films"], arms[0]["length"])]
    sentences: list[Sentence] = []
    for measure, words in _FILM_MEASURES:
        if results.summary(UNTRAINED, measure) is None:
            continue
        parts: list[str | Line] = [f"With {first[0]['films']} films to learn from, the film of a clip is identified "]
        parts += [f"from {words} in ", Line(f"summaries:{UNTRAINED}:{measure}"), " of the clips before training"]
        for arm in first:
            parts += [", in ", Line(f"summaries:{arm['name']}:{measure}"), f" with {arm['words']}"]
        sentences.append((*parts, "."))
    if sentences:
        yield Finding("Which film a clip is from", tuple(sentences), "identity")


def count_passes(results: StudyResults, films: int, length: float) -> float:
    """Return how often a model saw each second of its films, on average."""
    scale = results.scale
    clips = scale.steps * length * scale.batch_clips
    return clips * results.clip_seconds / (films * scale.synth.seconds)
