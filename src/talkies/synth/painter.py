"""Draw the pictures of a synthetic film.

Shapes: `H` rows, `W` columns, three channels.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, UInt8s
from talkies.synth.concepts import CONCEPTS, Pose
from talkies.synth.script import SATURATIONS, SHAPES, FilmScript, Shot

_GRAINS = 8


@dataclass(frozen=True, slots=True)
class _Character:
    shape: str
    colour: Float32s
    radius: float


class Painter:
    """Draws any frame of a film; places and characters are made once."""

    def __init__(self, script: FilmScript) -> None:
        config, random = script.config, np.random.default_rng([script.seed, 2])
        self._script, self._height, self._width = script, config.height, config.width
        self._saturations = np.random.default_rng([script.seed, 5])
        self._places = [self._place(random) for _ in range(config.places)]
        self._characters = [self._character(random) for _ in range(config.characters)]
        noise = random.normal(0, 1.5 + 1.5 * config.mark_strength, (_GRAINS, config.height, config.width, 1))
        self._grain = noise.astype(np.float32)

    def paint(self, frame: int, shot: Shot) -> UInt8s:
        """Return picture number `frame`, which lies in `shot`, as uint8 `[H, W, 3]`."""
        beats = (frame / self._script.config.fps - shot.first_event_seconds) / shot.period_seconds
        event = int(np.floor(beats))
        pose = CONCEPTS[shot.concept].motion(beats - event, event)
        image = self._places[shot.place].copy()
        character = self._characters[shot.character]
        # Each shot frames its character elsewhere.
        centre = np.random.default_rng([self._script.seed, 3, shot.start_frame]).uniform(-0.15, 0.15, 2)
        reach = 0.30 * self._height
        x = self._width * (0.5 + centre[0]) + reach * pose.x
        y = self._height * (0.5 + centre[1]) + reach * pose.y
        for side in (-1, 1) if pose.apart > 0 else (0,):
            self._stamp(image, character, pose, x + side * reach * pose.apart, y)
        image += self._grain[frame % _GRAINS]
        return np.clip(image, 0, 255).astype(np.uint8)

    def _stamp(self, image: Float32s, character: _Character, pose: Pose, x: float, y: float) -> None:
        radius = character.radius * pose.size
        reach = 1.5 * radius + 2
        top, bottom = max(0, int(y - reach)), min(self._height, int(y + reach) + 1)
        left, right = max(0, int(x - reach)), min(self._width, int(x + reach) + 1)
        if top >= bottom or left >= right:
            return
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        u, v = (columns - x) / radius, (rows - y) / radius
        cos, sin = np.cos(pose.turn), np.sin(pose.turn)
        inside = _shape(character.shape, cos * u + sin * v, cos * v - sin * u)
        cover = np.clip(0.5 - inside * radius, 0, 1)[..., None].astype(np.float32)
        colour = character.colour + np.float32(pose.glow) * (255 - character.colour)
        patch = image[top:bottom, left:right]
        patch += cover * (colour - patch)

    def _place(self, random: np.random.Generator) -> Float32s:
        marks, strength = self._script.marks, self._script.config.mark_strength
        rows, columns = np.mgrid[: self._height, : self._width].astype(np.float32)
        direction, waves = random.uniform(0, 2 * np.pi), random.uniform(0.5, 2.0)
        slope = np.cos(direction) * columns / self._width + np.sin(direction) * rows / self._height
        light = 0.35 + 0.12 * np.sin(2 * np.pi * (waves * slope + random.uniform()))
        # Without marks a place has a palette of its own; with them it takes the film's.
        colour = self._palette(random, value=1.0)
        texture = np.sin(columns * marks.texture_x * 2 + rows * marks.texture_y * 2)
        return np.asarray((light + 0.10 * strength * texture)[..., None] * colour, np.float32)

    def _character(self, random: np.random.Generator) -> _Character:
        radius = random.uniform(0.11, 0.16) * self._height
        colour = self._palette(random, value=0.95, turn=0.45)
        return _Character(SHAPES[random.integers(len(SHAPES))], 0.35 * colour + 0.65 * 200, radius)

    def _palette(self, random: np.random.Generator, value: float, turn: float = 0.0) -> Float32s:
        marks, strength = self._script.marks, self._script.config.mark_strength
        away = (1 - strength) * random.uniform(-0.5, 0.5) + random.uniform(-0.04, 0.04)
        saturation = strength * marks.saturation + (1 - strength) * self._saturations.uniform(*SATURATIONS)
        colour = colorsys.hsv_to_rgb((marks.hue + turn + away) % 1, saturation, value)
        return np.array(colour, np.float32) * 255


def _shape(shape: str, u: Float32s, v: Float32s) -> Float32s:
    """Return about how far, in radii, each point lies outside a shape of radius one (negative: inside)."""
    a, b = np.abs(u), np.abs(v)
    match shape:
        case "square":
            outside = np.maximum(a, b) - 0.85
        case "triangle":
            outside = np.maximum(0.87 * a + 0.5 * v, -v) - 0.55
        case "cross":
            outside = np.maximum(np.minimum(a, b) - 0.28, np.maximum(a, b) - 1.0)
        case "bar":
            outside = np.maximum(a / 1.2 - 1.0, b - 0.35)
        case _:
            outside = np.hypot(u, v) - (0.75 + 0.3 * np.cos(5 * np.arctan2(v, u)))
    return np.asarray(outside, np.float32)
