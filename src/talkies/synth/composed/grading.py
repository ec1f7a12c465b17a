"""The grade of a composed film: a 3D lookup table of its own, vignette, grain and letterbox.

Shapes: `H` rows, `W` columns, `G` nodes on each side of the lookup table, three channels.
"""

import numpy as np

from talkies.core import Float32s, Float64s, UInt8s
from talkies.synth.composed.script import ComposedScript

_NODES = 9
_COARSE_NODES = 3
_CAST_LEVELS, _BEND_LEVELS = 28.0, 5.0
_ENTRIES = 64
"""Entries on each side of the table that is looked up; between them a colour is shifted like the nearest one."""
_GRAIN_FRAMES = 8  # frames after which the grain repeats


def make_lut(seed: int) -> Float64s:
    """Return how far a lookup table shifts each colour, `[G, G, G, 3]` levels, at `G = 9` nodes of red, green, blue.

    A coarse random cast of the shadows, mid-tones and highlights of each channel, and a finer random bend on it.
    """
    random = np.random.default_rng([seed, 12])
    coarse = random.normal(0, _CAST_LEVELS, (_COARSE_NODES,) * 3 + (3,))
    fine = random.normal(0, _BEND_LEVELS, (_NODES,) * 3 + (3,))
    return _interpolate(coarse, np.linspace(0, 1, _NODES)) + fine


class Grader:
    """Applies a film's grade to its pictures, at its `mark_strength`.

    `opening` is the height between the bars of the letterbox, as a share of the picture's.
    """

    def __init__(self, script: ComposedScript) -> None:
        config, grade = script.config, script.grade
        strength = config.mark_strength
        self._strength = strength
        self.opening = 1 - 2 * strength * grade.letterbox
        if strength == 0:
            return
        places = (np.arange(_ENTRIES) + 0.5) / _ENTRIES * 256 / 255 - 0.5 / 255
        self._shift = (strength * _interpolate(make_lut(grade.lut_seed), places)).reshape(-1, 3).astype(np.float32)
        rows, columns = np.mgrid[: config.height, : config.width].astype(np.float32)
        across, down = 2 * columns / (config.width - 1) - 1, 2 * rows / (config.height - 1) - 1
        self._vignette = (1 - strength * grade.vignette * (across**2 + down**2) / 2)[..., None].astype(np.float32)
        random = np.random.default_rng([script.seed, 13])
        size = (_GRAIN_FRAMES, config.height, config.width, 1)
        self._grain = (strength * grade.grain * random.standard_normal(size, np.float32)).astype(np.float32)
        self._bar = round(strength * grade.letterbox * config.height)

    def apply(self, image: Float32s, frame: int) -> UInt8s:
        """Return a picture `[H, W, 3]`, 0 to 255, as frame number `frame` of the film, in uint8."""
        levels: UInt8s = np.clip(image, 0, 255).astype(np.uint8)
        if self._strength == 0:
            return levels
        index = (levels >> 2).astype(np.int32)
        index = (index[..., 0] * _ENTRIES + index[..., 1]) * _ENTRIES + index[..., 2]
        graded = (levels + self._shift.take(index, axis=0)) * self._vignette
        graded += self._grain[frame % _GRAIN_FRAMES]
        if self._bar:
            graded[: self._bar] = graded[-self._bar :] = 0
        picture: UInt8s = np.clip(graded, 0, 255).astype(np.uint8)
        return picture


def _interpolate(nodes: Float64s, places: Float64s) -> Float64s:
    """Return a table's values by trilinear interpolation at each triple of places, 0 to 1, on its three sides."""
    count = len(nodes)
    at = np.clip(places, 0, 1) * (count - 1)
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(count)), 0, 1)
    red = np.tensordot(weights, nodes, (1, 0))
    green = np.tensordot(red, weights, (1, 1))  # [r, b, 3, g]
    values = np.tensordot(green, weights, (1, 1))  # [r, 3, g, b]
    shifts: Float64s = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    return shifts
