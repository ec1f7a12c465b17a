"""Choose from a long sequence a few places that are evenly spaced."""

import numpy as np

from talkies.core.arrays import Int64s


def evenly_spaced(count: int, most: int) -> Int64s:
    """Return at most `most` of the places 0 … `count` − 1, evenly spaced from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
