import re

import pytest

from talkies.config import check
from talkies.core import ConfigError
from talkies.sampling import SamplingConfig


def test_a_batch_is_films_times_clips() -> None:
    assert SamplingConfig(films_per_batch=4, clips_per_film=16).batch_clips == 64


def test_a_batch_of_one_clip_has_no_negatives_and_is_refused() -> None:
    sentence = "a batch needs at least two clips, for one is the other's negative"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {"films_per_batch": 1, "clips_per_film": 1}, "recipe x")


@pytest.mark.parametrize("key", ["films_per_batch", "clips_per_film"])
def test_batches_of_no_films_or_no_clips_are_refused(key: str) -> None:
    sentence = f"'{key}' got 0: input should be greater than or equal to 1"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {"films_per_batch": 4, "clips_per_film": 4, key: 0}, "recipe x")


def test_a_negative_gap_is_refused() -> None:
    sentence = "'least_gap_seconds' got -0.5: input should be greater than or equal to 0"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(SamplingConfig, {"films_per_batch": 4, "clips_per_film": 4, "least_gap_seconds": -0.5}, "recipe x")
