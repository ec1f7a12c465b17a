"""Streams of random numbers, one for each purpose, none of which disturbs another."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What random numbers are drawn for."""

    TURN = 0
    BLOCK = 1
    OFFSET = 2
    CLIPS = 3


def generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of one stream at one place: a pure function of its arguments."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), *key)))
