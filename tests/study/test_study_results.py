"""The results of a study from planted measures: means, contrasts, and the findings' sentences."""

from collections.abc import Callable
from pathlib import Path

import pytest
from little_study import little

from talkies.library import write_json
from talkies.study import StudyResults, read_scale
from talkies.study.arms import list_arms
from talkies.study.figures import draw_family, draw_map
from talkies.study.films import FilmSet
from talkies.study.findings import list_findings
from talkies.study.measure import MEASURES
from talkies.study.results import build_results
from talkies.study.summary import NumberFormatter
from talkies.study.trials import Measurement, Trial, TrialResult, load_finished_trial

SCALE = little(film_sets=4)
ARMS = list_arms(SCALE)
Share = Callable[[str, int, int], float]


def planted(share: Share, scale=SCALE) -> StudyResults:  # type: ignore[no-untyped-def]
    """Return the results of trials whose last measures are all `share(arm, film set, film)`, and 0.1 before."""
    trials, arms = [], list_arms(scale)
    for film_set in range(scale.film_sets):
        for arm in arms:
            films = tuple(share(arm.name, film_set, film) for film in range(4))
            end = _measurement(arm.steps, films)
            start = _measurement(0, (0.1, 0.1, 0.1, 0.1))
            judged = (start, end) if arm.measures_untrained else (end,)
            trials.append(TrialResult(arm=arm.name, film_set=film_set, fingerprint="", judged=judged))
    chance = {nature: dict.fromkeys(MEASURES, 0.1) for nature in scale.trained_natures}
    return build_results(scale, arms, trials, tools={}, wall_seconds=0, resumed=False, clip_seconds=1.0, chance=chance)


def _measurement(step: int, films: tuple[float, ...]) -> Measurement:
    of_films = {measure: films for measure in MEASURES if measure.startswith("concept")}
    shares = dict.fromkeys(MEASURES, sum(films) / len(films))
    return Measurement(step=step, clips_seen=4 * step, measures=shares, of_films=of_films)


def words(results: StudyResults, title: str) -> str:
    """Return the sentences of the finding with this start of its title."""
    finding = next(finding for finding in list_findings(results) if finding.title.startswith(title))
    return " ".join(NumberFormatter(results).format_sentence(sentence) for sentence in finding.sentences)


def wobble(film_set: int, film: int) -> float:
    return 0.004 * (film_set - 1.5) + 0.01 * (film - 1.5)


@pytest.mark.parametrize("name", ["composed", "gpu", "medium", "small"])
def test_a_name_is_of_one_line_alone(name: str) -> None:
    results = planted(lambda *_: 0.5, read_scale(name).model_copy(update={"film_sets": 2}))
    lines = [line.id for line in (*results.summaries, *results.contrasts)]
    assert len(set(lines)) == len(lines)


def test_a_contrast_is_of_film_sets_paired_and_of_the_arms_that_it_names() -> None:
    gains = {0: 0.20, 1: 0.22, 2: 0.24, 3: 0.26}

    def share(arm: str, film_set: int, film: int) -> float:
        base = 0.1 * film + 0.03 * film_set  # what both arms share cancels
        return base + (gains[film_set] if arm == "within_films-4_length-1" else 0.0)

    results = planted(share)
    found = next(c for c in results.contrasts if c.arm == "within_films-4_length-1" and c.measure == "concept_video")
    assert found.against == "random_films-4_length-1"
    assert (found.mean, found.n, found.family) == (pytest.approx(0.23), 4, "claim")
    half = 3.182446305284263 * 0.02581988897471611 / 2  # Student with 3 degrees of freedom
    assert (found.low, found.high) == (pytest.approx(0.23 - half), pytest.approx(0.23 + half))
    assert found.p_holm == pytest.approx(min(1.0, 4 * found.p)), "the smallest of the four of its family"
    assert found.verdict == "better"


def test_untrained_models_are_compared_at_their_first_measurement() -> None:
    results = planted(lambda arm, s, f: 0.3 + wobble(s, f))
    found = [c for c in results.contrasts if c.against == "untrained"]
    assert len(found) == 2
    assert all(c.mean == pytest.approx(0.2) for c in found)


@pytest.mark.parametrize(
    ("within", "spread", "verdict"),
    [
        (0.7, 0.01, ", more."),
        (0.1, 0.01, ", less."),
        (0.5, 0.001, ", the same within the margin."),
        (0.6, 0.4, ", undecided."),
    ],
)
def test_the_sentences_say_what_the_numbers_say(within: float, spread: float, verdict: str) -> None:
    def share(arm: str, film_set: int, film: int) -> float:
        if arm.startswith("random"):
            return 0.5
        return within + spread * (film_set - 1.5) / 4

    results = planted(share)
    sentences = words(results, "The claim")
    assert sentences.count(verdict) == 4, sentences
    assert "4 films, concept from pictures: " in sentences
    assert "with 2 clips of a film" in sentences


def test_the_map_is_drawn_where_numbers_of_films_are_compared() -> None:
    gains = {"within_films-4_length-1": 0.2, "within_films-6_length-1": 0.2, "within_films-4_length-1_cues-0": 0.4}
    results = planted(lambda arm, s, f: 0.3 + gains.get(arm, 0.0) + wobble(s, f))
    figure = draw_map(results)
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["concept from pictures", "concept from sound"]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    drawn = [line.get_ydata() for line in figure.axes[0].get_lines() if len(line.get_ydata()) == 2]
    assert [float(each) for each in drawn[-1]] == pytest.approx([20.0, 20.0]), (
        "the gain at 4 and at 6 films, not that of films without cues"
    )
    assert labels == ["4\n(0.33×)", "6\n(0.22×)"], "passes: 16 clips of a second over films of 12 s"
    one = little(
        film_sets=2,
        families={"claim": SCALE.families["claim"].model_dump() | {"pairings": [{"arm": "within", "films": [4]}]}},
    )
    assert draw_map(planted(lambda *_: 0.5, one)) is None
    assert draw_family(results, "control") is not None


def test_a_finished_trial_counts_only_if_it_was_measured_at_the_steps_of_its_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trial, "fingerprint", "same")
    untrained, other = ARMS[0], next(arm for arm in ARMS if not arm.measures_untrained)
    for arm, steps in ((untrained, (0, 2, 4)), (other, (2, 4))):
        trial = Trial(arm, SCALE, FilmSet.of(tmp_path, 0, arm.nature, SCALE), None, 1)
        assert trial.judged_steps == steps
        trial.path.parent.mkdir(exist_ok=True)
        for measured, counts in ((steps, True), ((0, 4), False), ((4,), False)):
            judged = tuple(_measurement(step, (0.5,) * 4) for step in measured)
            write_json(trial.path, TrialResult(arm=arm.name, film_set=0, fingerprint="same", judged=judged))
            assert (load_finished_trial(trial) is not None) is counts
