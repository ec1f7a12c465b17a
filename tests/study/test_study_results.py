"""The results of a study from planted measures: means, paired differences, and the findings' sentences."""

import math
from collections.abc import Callable
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_study import little

from talkies.study import StudyResults, read_scale
from talkies.study.arms import list_arms
from talkies.study.findings import list_findings
from talkies.study.results import compare_arms, compare_natures, summarise
from talkies.study.summary import NumberFormatter
from talkies.study.trials import Measurement, TrialResult

SCALE = little(ranges={"mark_strengths": [0.0]})
ARMS = list_arms(SCALE, recorded=False)
MEASURES = ("concept_video", "concept_audio", "film_video", "film_audio")


def planted(share: Callable[[str, int], float]) -> StudyResults:
    """Return the results of trials whose last measures are all `share(arm, seed)`, and 0.1 before."""
    trials = []
    for arm in ARMS:
        for seed in range(arm.seeds):
            last = share(arm.name, seed)
            judged = [
                Measurement(step=step, clips_seen=4 * step, measures=dict.fromkeys(MEASURES, value))
                for step, value in ((0, 0.1), (2, 0.1), (4, last))
            ]
            trials.append(TrialResult(arm=arm.name, seed=seed, fingerprint="", judged=tuple(judged)))
    return StudyResults(
        scale=SCALE,
        tools={},
        wall_seconds=0,
        resumed=False,
        chance={},
        arms=tuple(asdict(arm) for arm in ARMS),
        cells=tuple(trials),
        summaries=summarise(ARMS, trials),
        comparisons=compare_arms(ARMS, trials),
        changes=compare_natures(ARMS, trials),
    )


def words(results: StudyResults, title: str) -> str:
    """Return the sentences of the finding with this start of its title."""
    finding = next(finding for finding in list_findings(results) if finding.title.startswith(title))
    return " ".join(NumberFormatter(results).format_sentence(sentence) for sentence in finding.sentences)


@pytest.mark.parametrize("name", ["gpu", "medium", "small"])
def test_a_name_is_of_one_line_alone(name: str) -> None:
    arms = list_arms(read_scale(name), recorded=True)
    first, last = (Measurement(step=step, clips_seen=0, measures={"film_video": 0.5}) for step in (0, 1))
    trials = []
    for arm in arms:
        judged = (first, last.model_copy(update={"step": arm.steps}))
        trials += [TrialResult(arm=arm.name, seed=seed, fingerprint="", judged=judged) for seed in range(arm.seeds)]
    lines = [
        line.id for line in (*summarise(arms, trials), *compare_arms(arms, trials), *compare_natures(arms, trials))
    ]
    assert len(set(lines)) == len(lines)


def test_a_difference_is_seed_by_seed_with_students_interval_and_the_paired_test() -> None:
    shares = {"random": (0.10, 0.20, 0.30), "within": (0.21, 0.32, 0.43)}  # differences 0.11, 0.12, 0.13
    results = planted(lambda arm, seed: shares.get(arm, (0.5, 0.5, 0.5))[seed])
    found = results.comparison("within", "concept_video")
    assert found is not None
    assert found.against == "random"
    half = 4.302652729749464 * 0.01 / math.sqrt(3)  # Student's t with 2 degrees of freedom, 97.5 %
    assert found.mean == pytest.approx(0.12)
    assert (found.low, found.high) == pytest.approx((0.12 - half, 0.12 + half))
    t = 0.12 / (0.01 / math.sqrt(3))
    assert found.p == pytest.approx(1 - t / math.sqrt(t * t + 2))  # its distribution is known in closed form
    assert NumberFormatter(results).format_line(found.id) == "+12.0 points [+9.5, +14.5] (p = 0.002)"
    assert results.comparison("random", "concept_video") is None
    mean = results.summary("random", "concept_audio")
    assert mean is not None
    assert (mean.mean, mean.n) == pytest.approx((0.2, 3))


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_a_difference_turned_round_is_the_same_with_the_other_sign(one: list[float], two: list[float]) -> None:
    forth = planted(lambda arm, seed: one[seed] if arm == "within" else two[seed] if arm == "random" else 0.5)
    back = planted(lambda arm, seed: two[seed] if arm == "within" else one[seed] if arm == "random" else 0.5)
    first, second = (each.comparison("within", "film_audio") for each in (forth, back))
    assert first is not None
    assert second is not None
    assert first.mean == pytest.approx(-second.mean, abs=1e-12)
    assert first.low is not None
    assert second.high is not None
    assert first.low == pytest.approx(-second.high, abs=1e-9)


@pytest.mark.parametrize(
    ("within", "at_no_marks", "wobbling", "claim", "control"),
    [
        (0.7, 0.301, 0.01, "holds here, for both", "it vanishes"),
        (0.7, 0.45, 0.01, "holds here, for both", "it shrinks"),
        (0.7, 0.69, 0.03, "holds here, for both", "it does not surely change"),
        (
            0.7,
            0.45,
            0.1,
            "holds here, for both",
            "it does not surely change",
        ),  # a wide interval contains 0
        (0.7, 0.90, 0.01, "holds here, for both", "it grows"),
        (0.7, 0.10, 0.01, "holds here, for both", "it reverses"),
        (0.3, 0.31, 0.01, "is not confirmed here", ""),
    ],
)
def test_the_sentences_say_what_the_numbers_say(
    within: float, at_no_marks: float, wobbling: float, claim: str, control: str
) -> None:
    means = {"random": 0.3, "within": within, "random-marks-0": 0.3, "within-marks-0": at_no_marks}
    wobble = {"within": 0.01, "within-marks-0": wobbling}
    results = planted(lambda arm, seed: means[arm] + wobble.get(arm, 0.0) * (seed - (SCALE.seeds - 1) / 2))
    assert claim in words(results, "Negatives of the same film")
    sentences = words(results, "The control: films without shortcut cues")
    assert control in sentences
    assert ("Without cues it" in sentences) is bool(control)
