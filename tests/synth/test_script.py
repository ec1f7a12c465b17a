"""`generate_script`: a pure function of seed and config, and consistent in itself."""

from collections import Counter
from itertools import pairwise

import pytest

from talkies.synth import CONCEPTS, SynthConfig, generate_script

SEEDS = range(8)


def test_the_same_seed_writes_the_same_script() -> None:
    config = SynthConfig(seconds=90.0)
    assert generate_script("a", 5, config).model_dump_json() == generate_script("a", 5, config).model_dump_json()


def test_different_seeds_write_different_films() -> None:
    config = SynthConfig(seconds=90.0)
    scripts = [generate_script("a", seed, config) for seed in SEEDS]
    assert len({script.shots for script in scripts}) == len(SEEDS)
    assert len({script.marks.model_dump_json() for script in scripts}) == len(SEEDS)


def test_how_strong_the_marks_are_changes_nothing_that_happens() -> None:
    plain, marked = (
        generate_script("a", 3, SynthConfig(seconds=60.0, mark_strength=strength)) for strength in (0.0, 1.0)
    )
    assert plain.shots == marked.shots
    assert plain.marks == marked.marks


@pytest.mark.parametrize("seed", SEEDS)
def test_shots_cover_the_film_from_its_first_frame_to_its_last(seed: int) -> None:
    script = generate_script("a", seed, SynthConfig(seconds=61.0, fps=25))
    assert script.shots[0].start_frame == 0
    assert script.shots[-1].end_frame == script.frames == 61 * 25
    assert all(left.end_frame == right.start_frame for left, right in pairwise(script.shots))


@pytest.mark.parametrize("seed", SEEDS)
def test_shots_are_as_long_as_the_config_allows(seed: int) -> None:
    config = SynthConfig(seconds=60.0, shot_seconds_min=1.0, shot_seconds_max=2.5)
    lengths = [(shot.end_frame - shot.start_frame) / 24 for shot in generate_script("a", seed, config).shots]
    assert min(lengths) >= 1.0
    assert max(lengths[:-1]) <= 2.5
    assert lengths[-1] <= 1.0 + 2.5  # the last takes what is left


@pytest.mark.parametrize("seed", SEEDS)
def test_events_lie_in_their_shot_one_period_apart(seed: int) -> None:
    for shot in generate_script("a", seed, SynthConfig(seconds=60.0)).shots:
        events = shot.event_seconds
        assert events[0] == pytest.approx(shot.first_event_seconds, abs=1e-6)
        assert shot.start_frame / 24 <= events[0] < shot.start_frame / 24 + shot.period_seconds
        assert events[-1] < shot.end_frame / 24 <= events[-1] + shot.period_seconds + 1e-5
        assert all(later - sooner == pytest.approx(shot.period_seconds, abs=2e-6) for sooner, later in pairwise(events))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shots_tempo_is_that_of_its_concept_within_eight_in_a_hundred(seed: int) -> None:
    for shot in generate_script("a", seed, SynthConfig(seconds=60.0)).shots:
        assert 0.92 <= 1 / (shot.period_seconds * CONCEPTS[shot.concept].rate_hz) <= 1.08


@pytest.mark.parametrize("concepts", [1, 3, 16])
def test_a_film_uses_its_share_of_the_concepts_equally_often(concepts: int) -> None:
    used: set[int] = set()
    for seed in SEEDS:
        script = generate_script("a", seed, SynthConfig(seconds=240.0, concepts_per_film=concepts))
        counts = Counter(shot.concept for shot in script.shots)
        assert len(counts) == concepts
        assert max(counts.values()) - min(counts.values()) <= 1
        used |= counts.keys()
    assert used <= set(range(len(CONCEPTS)))
    assert len(used) > concepts or concepts == 16  # each film has its own


def test_places_and_characters_are_of_the_films_own_few() -> None:
    shots = generate_script("a", 1, SynthConfig(seconds=300.0, places=3, characters=2)).shots
    assert {shot.place for shot in shots} == {0, 1, 2}
    assert {shot.character for shot in shots} == {0, 1}


def test_concepts_have_names_of_their_own() -> None:
    assert len({concept.name for concept in CONCEPTS}) == len(CONCEPTS) == 16
    assert {concept.name.split("-")[0]: concept.rate_hz for concept in CONCEPTS} == {"slow": 1.1, "fast": 2.7}


def test_the_shortest_shot_must_not_be_longer_than_the_longest() -> None:
    with pytest.raises(ValueError, match=r"shot_seconds_min must not exceed shot_seconds_max, got 4\.0 and 3\.0"):
        SynthConfig(shot_seconds_min=4.0, shot_seconds_max=3.0)
