"""The settings of sampling, and which of them are refused."""

import re

import pytest

from talkies.config import check
from talkies.core import ConfigError
from talkies.sampling import SamplingConfig, Stage

SIZE = {"films_per_batch": 4, "clips_per_film": 4}


def test_a_batch_is_films_times_clips() -> None:
    assert SamplingConfig(films_per_batch=4, clips_per_film=16).batch_clips == 64


def test_a_batch_of_one_clip_has_no_negatives_and_is_refused() -> None:
    sentence = "a batch needs at least two clips, because each is the negative of the others"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {"films_per_batch": 1, "clips_per_film": 1}, "recipe x")


@pytest.mark.parametrize("key", ["films_per_batch", "clips_per_film"])
def test_batches_of_no_films_or_no_clips_are_refused(key: str) -> None:
    sentence = f"'{key}' got 0: input should be greater than or equal to 1"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {**SIZE, key: 0}, "recipe x")


@pytest.mark.parametrize(
    "key", ["least_gap_seconds", "skip_first_seconds", "skip_last_seconds", "positives_within_seconds"]
)
def test_a_negative_time_is_refused(key: str) -> None:
    sentence = f"'{key}' got -0.5: input should be greater than or equal to 0"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {**SIZE, key: -0.5}, "recipe x")


def test_a_widest_window_of_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'widest_window_seconds' got 0: input should be greater than 0"):
        check(SamplingConfig, {**SIZE, "widest_window_seconds": 0}, "recipe x")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("film_weights", "length", "'film_weights' got 'length': input should be 'uniform' or 'duration'"),
        ("short_films", "pad", "'short_films' got 'pad': input should be 'refuse' or 'leave_out'"),
        ("exclude", ["blak"], "got 'blak': input should be 'black', 'silent', 'still' or 'credits'"),
    ],
)
def test_a_choice_that_is_none_is_told_with_those_there_are(key: str, value: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {**SIZE, key: value}, "recipe x")


@pytest.mark.parametrize("clips", [3, 5, 32])
def test_a_stage_whose_clips_do_not_divide_the_batch_is_refused(clips: int) -> None:
    sentence = f"each stage's clips_per_film must divide the batch's 16 clips, got {clips}"
    stages = [{"from_step": 9, "clips_per_film": 8}, {"from_step": 10, "clips_per_film": clips}]
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {**SIZE, "schedule": stages}, "recipe x")


@pytest.mark.parametrize("steps", [[10, 9], [9, 9]])
def test_stages_out_of_order_are_refused(steps: list[int]) -> None:
    sentence = f"the stages of a schedule must come in the order of their steps, got {steps}"
    stages = [{"from_step": step, "clips_per_film": 8} for step in steps]
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {**SIZE, "schedule": stages}, "recipe x")


@pytest.mark.parametrize("key", ["from_step", "clips_per_film"])
def test_a_stage_begins_after_the_first_step_and_has_clips(key: str) -> None:
    stage = {"from_step": 5, "clips_per_film": 2, key: 0}
    with pytest.raises(ConfigError, match=f"{key}' got 0: input should be greater than or equal to 1"):
        check(SamplingConfig, {**SIZE, "schedule": [stage]}, "recipe x")


def test_a_schedule_is_read_as_any_other_key() -> None:
    read = check(SamplingConfig, {**SIZE, "schedule": [{"from_step": 5, "clips_per_film": 2}]}, "recipe x")
    assert read.schedule == (Stage(from_step=5, clips_per_film=2),)
    assert read.clip_counts == (4, 2)


def test_the_random_recipe_takes_every_clip_from_another_film() -> None:
    config = SamplingConfig.random(64)
    assert (config.films_per_batch, config.clips_per_film, config.positives_within_seconds) == (64, 1, 0)


def test_the_within_film_recipe_takes_some_clips_of_some_films() -> None:
    config = SamplingConfig.within_film(4, 16, least_gap_seconds=2.5)
    assert (config.films_per_batch, config.clips_per_film, config.least_gap_seconds) == (4, 16, 2.5)
    assert SamplingConfig.within_film(4, 16).least_gap_seconds == 0


def test_the_recipe_of_within_film_positives_takes_one_clip_a_film_whose_sound_is_of_another_moment() -> None:
    config = SamplingConfig.within_film_positives(32, within_seconds=10)
    assert (config.films_per_batch, config.clips_per_film, config.positives_within_seconds) == (32, 1, 10)


def test_by_default_nothing_marked_is_drawn_and_films_too_short_are_refused() -> None:
    config = SamplingConfig(films_per_batch=4, clips_per_film=4)
    assert config.exclude == ("black", "silent", "still", "credits")
    assert (config.short_films, config.film_weights, config.one_clip_per_shot) == ("refuse", "uniform", False)
    assert (config.widest_window_seconds, config.schedule) == (None, ())
