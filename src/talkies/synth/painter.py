"""Draw the pictures of a synthetic film.

Shapes: `H` rows, `W` columns, three channels.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, UInt8s
from talkies.synth.concepts import CONCEPTS, Pose
from talkies.synth.script import SATURATIONS, SHAPES, FilmScript, Shot

_GRAIN_FRAMES = 8  # frames after which the film grain repeats
_STROKE = 0.09  # half the width of a hollow character's line, in radii


@dataclass(frozen=True, slots=True)
class Character:
    """What moves in a film: a shape of `SHAPES`, an RGB colour `[3]` (0 to 255) and a radius in pixels.

    A `hollow` one is an outline only; `rim` is the width, in radii, of a dark edge around it.
    """

    shape: str
    colour: Float32s
    radius: float
    hollow: bool = False
    rim: float = 0.0


class Painter:
    """Draws any frame of a film; its places, characters and grain are generated once."""

    def __init__(self, script: FilmScript) -> None:
        config = script.config
        self._script = script
        self._height, self._width = config.height, config.width

        random = np.random.default_rng([script.seed, 2])
        self._saturation_random = np.random.default_rng([script.seed, 5])
        self._places = [self._draw_place(random) for _ in range(config.places)]
        self._characters = [self._create_character(random) for _ in range(config.characters)]
        noise = random.normal(0, 1.5 + 1.5 * config.mark_strength, (_GRAIN_FRAMES, config.height, config.width, 1))
        self._grain = noise.astype(np.float32)

    def paint(self, frame: int, shot: Shot) -> UInt8s:
        """Return picture number `frame`, which is in `shot`, as uint8 RGB `[H, W, 3]`."""
        # Find the pose at this moment.
        beats = (frame / self._script.config.fps - shot.first_event_seconds) / shot.period_seconds
        event = int(np.floor(beats))
        pose = CONCEPTS[shot.concept].motion(beats - event, event)

        # Place the character; each shot frames it differently.
        offset = np.random.default_rng([self._script.seed, 3, shot.start_frame]).uniform(-0.15, 0.15, 2)
        reach = 0.30 * self._height
        x = self._width * (0.5 + offset[0]) + reach * pose.x
        y = self._height * (0.5 + offset[1]) + reach * pose.y

        image = self._places[shot.place].copy()
        character = self._characters[shot.character]
        for side in (-1, 1) if pose.separation > 0 else (0,):
            draw_character(image, character, pose, (x + side * reach * pose.separation, y))
        image += self._grain[frame % _GRAIN_FRAMES]
        return np.clip(image, 0, 255).astype(np.uint8)

    def _draw_place(self, random: np.random.Generator) -> Float32s:
        """Return the background `[H, W, 3]` of a place: waves of light, a texture and a colour."""
        cues, strength = self._script.marks, self._script.config.mark_strength
        rows, columns = np.mgrid[: self._height, : self._width].astype(np.float32)
        direction, waves = random.uniform(0, 2 * np.pi), random.uniform(0.5, 2.0)
        position = np.cos(direction) * columns / self._width + np.sin(direction) * rows / self._height
        light = 0.35 + 0.12 * np.sin(2 * np.pi * (waves * position + random.uniform()))
        colour = self._choose_colour(random, value=1.0)
        texture = np.sin(columns * cues.texture_x * 2 + rows * cues.texture_y * 2)
        return np.asarray((light + 0.10 * strength * texture)[..., None] * colour, np.float32)

    def _create_character(self, random: np.random.Generator) -> Character:
        radius = random.uniform(0.11, 0.16) * self._height
        colour = self._choose_colour(random, value=0.95, hue_shift=0.45)
        return Character(SHAPES[random.integers(len(SHAPES))], 0.35 * colour + 0.65 * 200, radius)

    def _choose_colour(self, random: np.random.Generator, value: float, hue_shift: float = 0.0) -> Float32s:
        """Return an RGB colour, 0 to 255: of the film's palette the more, the stronger its shortcut cues are."""
        cues, strength = self._script.marks, self._script.config.mark_strength
        deviation = (1 - strength) * random.uniform(-0.5, 0.5) + random.uniform(-0.04, 0.04)
        saturation = strength * cues.saturation + (1 - strength) * self._saturation_random.uniform(*SATURATIONS)
        colour = colorsys.hsv_to_rgb((cues.hue + hue_shift + deviation) % 1, saturation, value)
        return np.array(colour, np.float32) * 255


def draw_character(image: Float32s, character: Character, pose: Pose, centre: tuple[float, float]) -> None:
    """Blend a character into an image `[H, W, 3]`, its centre at a column and row."""
    # Cut out the part of the image that it can cover.
    height, width, _ = image.shape
    x, y = centre
    radius = character.radius * pose.size
    reach = (1.5 + character.rim) * radius + 2
    top, bottom = max(0, int(y - reach)), min(height, int(y + reach) + 1)
    left, right = max(0, int(x - reach)), min(width, int(x + reach) + 1)
    if top >= bottom or left >= right:
        return

    # Compute how much of each pixel it covers, with an edge one pixel wide.
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    u, v = (columns - x) / radius, (rows - y) / radius
    cos, sin = np.cos(pose.rotation), np.sin(pose.rotation)
    distance = _compute_signed_distance(character.shape, cos * u + sin * v, cos * v - sin * u)
    if character.hollow:
        distance = np.abs(distance + _STROKE) - _STROKE
    patch = image[top:bottom, left:right]
    if character.rim:
        patch *= 1 - np.clip(0.5 - (distance - character.rim) * radius, 0, 1)[..., None].astype(np.float32)
    coverage = np.clip(0.5 - distance * radius, 0, 1)[..., None].astype(np.float32)

    colour = character.colour + np.float32(pose.glow) * (255 - character.colour)
    patch += coverage * (colour - patch)


def _compute_signed_distance(shape: str, u: Float32s, v: Float32s) -> Float32s:
    """Return about how far, in radii, each point is outside a shape of radius one (negative: inside).

    Args:
        shape: one of `SHAPES`.
        u: the horizontal coordinate of each point, in radii from the centre.
        v: the vertical coordinate of each point.
    """
    a, b = np.abs(u), np.abs(v)
    match shape:
        case "square":
            distance = np.maximum(a, b) - 0.85
        case "triangle":
            distance = np.maximum(0.87 * a + 0.5 * v, -v) - 0.55
        case "cross":
            distance = np.maximum(np.minimum(a, b) - 0.28, np.maximum(a, b) - 1.0)
        case "bar":
            distance = np.maximum(a / 1.2 - 1.0, b - 0.35)
        case _:  # star
            distance = np.hypot(u, v) - (0.75 + 0.3 * np.cos(5 * np.arctan2(v, u)))
    return np.asarray(distance, np.float32)
