"""The rows of evidence that a study gives to the advice of `analyse` and `audit`."""

from collections.abc import Iterator

from talkies.analysis.evidence import EvidenceRow, FilmKind, StudiedSampling
from talkies.study.findings import count_passes
from talkies.study.results import StudyResults
from talkies.study.scale import PLAIN, USUAL
from talkies.study.statistics import Contrast

_MEASURES = ("concept_video", "concept_audio")


def list_evidence(results: StudyResults) -> tuple[EvidenceRow, ...]:
    """Return the contrasts between plain samplings that the advice rests on, in the order of the results.

    They compare two samplings that differ in nothing else, with the usual recipe and the scale's own batches, on
    rendered films with shortcut cues or on composed ones, by the concept that a linear probe finds. Of a comparison
    that several families declare, the first is taken.
    """
    rows: dict[tuple[str, str, str], EvidenceRow] = {}
    for contrast in results.contrasts:
        for row in _make_row(results, contrast):
            rows.setdefault((contrast.arm, contrast.against, contrast.measure), row)
    return tuple(rows.values())


def name_source(scale: str) -> str:
    """Return the source of a study's rows."""
    return f"study {scale}"


def _make_row(results: StudyResults, contrast: Contrast) -> Iterator[EvidenceRow]:
    """Yield the row of a contrast, unless it compares something else than samplings."""
    arm, against = results.arm(contrast.arm), results.arm(contrast.against)
    if arm is None or against is None or contrast.measure not in _MEASURES:
        return
    scale, kind = results.scale, _find_kind(results, arm["nature"])
    samplings = [scale.samplings[each["sampling"]] for each in (arm, against)]
    is_usual = arm["variant"] == USUAL and arm["batch"] == scale.batch_clips
    if kind is None or not is_usual or any(sampling.set for sampling in samplings):
        return
    first, second = (
        StudiedSampling(clips_per_film=each.clips_per_film, cross_film_weight=each.cross_film_weight)
        for each in samplings
    )
    yield EvidenceRow(
        source=name_source(scale.name),
        kind=kind,
        films=arm["films"],
        passes=count_passes(results, arm["films"], arm["length"]),
        sampling=first,
        against=second,
        measure=contrast.measure,
        mean=contrast.mean,
        low=contrast.low,
        high=contrast.high,
        verdict=contrast.verdict,
    )


def _find_kind(results: StudyResults, nature: str) -> FilmKind | None:
    """Return the kind of films of a nature; None for rendered films that the scale changes."""
    found = results.scale.find_nature(nature)
    if found.changes or found.judged_on:
        return None
    if found.composed:
        return "composed"
    return "rendered" if nature == PLAIN else None
