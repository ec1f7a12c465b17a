"""The advice on sampling: no more than the evidence says, and what the shipped evidence is."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talkies.analysis.advice import FilmReliance, SamplingAdvice, advise_sampling, judge
from talkies.analysis.evidence import BY_HAND, Evidence, EvidenceRow, StudiedSampling, Verdict, read_evidence

ONE = StudiedSampling(clips_per_film=1)
EIGHT = StudiedSampling(clips_per_film=8)
POINTS = ((32, 12.0), (32, 60.0), (64, 6.0), (128, 3.0), (256, 1.5), (256, 7.5))
"""In the hull of these are 32 to 256 films that are passed over 384 / films to 1920 / films times."""
LEANS = FilmReliance(leans=True, mean=0.94, low=0.9, high=0.98)
DOES_NOT = FilmReliance(leans=False, mean=0.05, low=-0.02, high=0.12)
VERDICTS: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided", "untested")

OUTCOMES = tuple((verdict, mean) for verdict in VERDICTS for mean in (-0.2, -0.01, 0.01, 0.2))


def row(
    point: tuple[int, float],
    verdict: Verdict,
    mean: float,
    *,
    pair: tuple[StudiedSampling, StudiedSampling] = (EIGHT, ONE),
    measure: str = "concept_audio",
    kind: str = "rendered",
) -> EvidenceRow:
    """A row of evidence with an interval of ± 0.05."""
    return EvidenceRow.model_validate(
        {
            "source": "study planted", "kind": kind, "films": point[0], "passes": point[1], "sampling": pair[0],
            "against": pair[1], "measure": measure, "mean": mean, "low": mean - 0.05, "high": mean + 0.05,
            "verdict": verdict,
        }
    )  # fmt: skip


def less(weight: float) -> tuple[StudiedSampling, StudiedSampling]:
    """Eight clips of a film with this weight of other films, against eight with weight 1."""
    return StudiedSampling(clips_per_film=8, cross_film_weight=weight), EIGHT


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Evidence of any verdicts at the points; from a seed, because drawing each row is slow."""
    chosen = Random(draw(st.integers(0, 2**32 - 1)))
    return Evidence(
        rows=tuple(
            row(point, *chosen.choice(OUTCOMES), pair=pair, measure=measure)
            for point in POINTS
            for measure in ("concept_video", "concept_audio")
            for pair in ((EIGHT, ONE), less(0.1), less(0.0))
        )
    )


def emphasis(advice: SamplingAdvice) -> tuple[int, float]:
    """How much the advised sampling asks of distinguishing clips of one film."""
    assert advice.clips_per_film is not None
    assert advice.cross_film_weight is not None
    return advice.clips_per_film, -advice.cross_film_weight


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evidences(), st.integers(1, 6000), st.floats(0.001, 1000))
def test_nothing_is_advised_outside_of_the_evidence_and_that_is_said(
    evidence: Evidence, films: int, passes: float
) -> None:
    advice, clips_seen = advise_sampling(films, passes, evidence=evidence), films * passes
    if films < 32 or films > 256 or not 383 < clips_seen < 1921:
        assert (advice.standing, advice.clips_per_film, advice.cross_film_weight) == ("outside", None, None)
        assert "are outside what the studies measured (rendered films: 32 with 12 to 60 passes" in advice.words
        assert "neither a number of clips of a film nor a weight of other films is advised" in advice.words
    elif 385 < clips_seen < 1919:
        assert advice.clips_per_film in (1, 8)
        assert advice.standing != "outside"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evidences(), st.integers(33, 255), st.floats(1.01, 4.99))
def test_the_advice_is_what_the_rows_behind_it_say(evidence: Evidence, films: int, length: float) -> None:
    advice = advise_sampling(films, 384 * length / films, evidence=evidence)
    gain = [each for each in advice.evidence if each.is_gain]
    assert {each.point for each in gain} <= set(POINTS)
    assert advice.standing == judge(gain)
    if "8 clips of a film are advised" in advice.words:
        assert (advice.clips_per_film, advice.standing) == (8, "better")
    if advice.standing == "worse":
        assert advice.clips_per_film == 1
    if advice.cross_film_weight != 1:
        weighed = [each for each in advice.evidence if each.sampling.cross_film_weight == advice.cross_film_weight]
        assert judge(weighed) == "better"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evidences(), st.integers(33, 255), st.floats(1.01, 4.99))
def test_more_reliance_never_lowers_the_emphasis_within_the_film(evidence: Evidence, films: int, length: float) -> None:
    by_reliance = [
        advise_sampling(films, 384 * length / films, reliance, evidence) for reliance in (None, DOES_NOT, LEANS)
    ]
    before, calm, leaning = map(emphasis, by_reliance)
    assert before == calm <= leaning
    if before[0] == 1:
        assert leaning[0] == 8
    taken = [each for each in by_reliance[2].evidence if each.sampling.cross_film_weight == -leaning[1]]
    assert leaning == before or not taken or before[0] == 1 or judge(taken) != "worse"


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        (("better", "undecided"), "better"),
        (("better", "worse"), "undecided"),
        (("worse", "equivalent"), "worse"),
        (("equivalent", "equivalent"), "equivalent"),
        (("equivalent", "undecided"), "undecided"),
        (("untested", "untested"), "untested"),
    ],
)
def test_verdicts_together(verdicts: Sequence[Verdict], together: str) -> None:
    assert judge([row((32, 12.0), verdict, 0.1) for verdict in verdicts]) == together


PLANTED = Evidence(
    rows=(
        row((32, 12.0), "better", 0.28, measure="concept_video"),
        row((32, 12.0), "better", 0.59),
        row((32, 60.0), "worse", -0.1),
        row((256, 1.5), "equivalent", 0.01),
        row((256, 7.5), "undecided", -0.06),
        row((32, 12.0), "undecided", 0.04, pair=less(0.0)),
        row((32, 12.0), "better", 0.08, pair=less(0.1)),
        row((256, 1.5), "undecided", 0.02, pair=less(0.0)),
        row((1024, 0.375), "better", 0.07, kind="composed"),
    )
)
SENTENCES = {
    (32, 12.0, None): (
        "With 32 films and about 12 passes over them, 8 clips of a film are advised: in the study they taught more "
        "than one clip of each film (32 rendered films, 12 passes: +28.0 points [+23.0, +33.0] by pictures, +59.0 "
        "points [+54.0, +64.0] by sound). Other films are advised to weigh 0.1: that taught more than 1 (0: 32 "
        "rendered films, 12 passes: +4.0 points [−1.0, +9.0] by sound; 0.1: 32 rendered films, 12 passes: +8.0 "
        "points [+3.0, +13.0] by sound)."
    ),
    (250, 7.0, None): (
        "With 250 films and about 7 passes over them, either does: it is not shown that 8 clips of a film teach more "
        "or less than one clip of each film (256 rendered films, 7.5 passes: −6.0 points [−11.0, −1.0] by sound). "
        "The numbers favour one clip of each film."
    ),
    (250, 1.7, LEANS): (
        "With 250 films and about 1.7 passes over them, either does: 8 clips of a film and one clip of each film "
        "taught the same within the study’s margin (256 rendered films, 1.5 passes: +1.0 points [−4.0, +6.0] by "
        "sound). The numbers favour 8 clips of a film. Other films weigh 1, because it is not shown that a lower "
        "weight teaches more (0: 256 rendered films, 1.5 passes: +2.0 points [−3.0, +7.0] by sound). This model "
        "leans on the film (reliance 0.94 [0.90, 0.98]), which speaks for more weight within films: a step further "
        "is 8 clips of a film with a weight of 0 for other films. How much that helps such a model was not measured."
    ),
    (32, 60.0, DOES_NOT): (
        "With 32 films and about 60 passes over them, one clip of each film is advised: in the study 8 clips of a "
        "film taught less (32 rendered films, 60 passes: −10.0 points [−15.0, −5.0] by sound). This model is not "
        "found to lean on the film (reliance 0.05 [−0.02, 0.12]), which asks for no change."
    ),
    (1024, 0.375, None): (
        "With 1,024 films and about 0.38 passes over them, 8 clips of a film are advised: in the study they taught "
        "more than one clip of each film (1,024 composed films, 0.38 passes: +7.0 points [+2.0, +12.0] by sound). "
        "Other films weigh 1, as they did there; other weights were not measured."
    ),
    (10, 60.0, LEANS): (
        "10 films and about 60 passes over them are outside what the studies measured (rendered films: 32 with 12 to "
        "60 passes, 256 with 1.5 to 7.5 passes; composed films: 1,024 with 0.38 passes), so neither a number of "
        "clips of a film nor a weight of other films is advised. The nearest that was measured: 32 rendered films, "
        "60 passes: −10.0 points [−15.0, −5.0] by sound; 1,024 composed films, 0.38 passes: +7.0 points [+2.0, "
        "+12.0] by sound. Train both ways, and evaluate. This model leans on the film (reliance 0.94 [0.90, 0.98]), "
        "which speaks for more weight within films; how much more was not measured."
    ),
}


@pytest.mark.parametrize(("films", "passes", "reliance"), SENTENCES)
def test_the_words_are_plain_and_hold_the_numbers(films: int, passes: float, reliance: FilmReliance | None) -> None:
    assert advise_sampling(films, passes, reliance, PLANTED).words == SENTENCES[films, passes, reliance]


def test_of_unknown_passes_nothing_is_advised() -> None:
    advice = advise_sampling(32, None, evidence=PLANTED)
    assert (advice.clips_per_film, advice.evidence) == (None, ())
    assert advice.words.startswith("How often the 32 films are passed over is not known, so neither a number of clips")


def test_without_any_evidence_nothing_is_advised() -> None:
    assert "outside what the studies measured (nothing)" in advise_sampling(32, 12, evidence=Evidence(rows=())).words


def test_what_was_measured_by_hand_has_neither_intervals_nor_tests() -> None:
    for each in read_evidence().rows:
        by_hand = each.source.startswith(BY_HAND)
        assert by_hand == (each.verdict == "untested"), each
        assert not by_hand or each.low is each.high is None
    assert any(each.is_gain for each in read_evidence().rows)


@pytest.mark.parametrize(("verdict", "mean", "clips"), [("worse", -0.05, 1), ("better", 0.05, 8)])
def test_a_verdict_outweighs_a_larger_difference_that_is_undecided(verdict: Verdict, mean: float, clips: int) -> None:
    rows = [row(point, verdict, mean, measure="concept_video") for point in POINTS]
    rows += [row(point, "undecided", -6 * mean) for point in POINTS]
    assert advise_sampling(64, 6.0, evidence=Evidence(rows=tuple(rows))).clips_per_film == clips
