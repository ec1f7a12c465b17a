"""Independent streams of random numbers, one for each purpose."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are drawn for."""

    EPOCH = 0
    BLOCK = 1
    OFFSET = 2
    CLIPS = 3


def make_generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of one stream at one key, such as a step: a pure function of its arguments."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), *key)))
