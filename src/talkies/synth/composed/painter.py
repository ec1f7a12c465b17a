"""The pictures of a composed film: a drawn motion or an action clip over its background, under its grade.

Shapes: `H` rows, `W` columns, three channels.
"""

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from talkies.core import Float32s, Float64s, UInt8s
from talkies.media import RgbConverter
from talkies.synth.composed.backgrounds import Background
from talkies.synth.composed.foreground import find_clip_frame, get_inset_size, load_clip
from talkies.synth.composed.grading import Grader
from talkies.synth.composed.script import ComposedScript, ComposedShot
from talkies.synth.concepts import CONCEPTS
from talkies.synth.painter import Character, draw_character
from talkies.synth.script import SHAPES

_GREY = 110.0
_EXPOSURES = 0.55, 1.4  # of the darkest and of the brightest place
_RIM = 0.2
_COPIES_APART = 1.6  # in radii


@dataclass(frozen=True, slots=True)
class _Place:
    """How a background is framed: where in it, 0 to 1, whether mirrored, and how bright."""

    left: float
    top: float
    mirrored: bool
    exposure: float


class ComposedPainter:
    """Draws any frame of a film; without a background, over grey."""

    def __init__(self, script: ComposedScript, background: Background | None) -> None:
        config = script.config
        self._script, self._background = script, background
        self._size = config.width, config.height
        self._grader = Grader(script)
        self._clip_converter = RgbConverter()
        random = np.random.default_rng([script.seed, 14])
        exposures = random.permutation(np.linspace(*_EXPOSURES, config.places)) if config.places > 1 else [1.0]
        self._places = [
            _Place(random.uniform(), random.uniform(), bool(random.integers(2)), float(exposure))
            for exposure in exposures
        ]
        self._characters = [
            Character(
                SHAPES[random.integers(len(SHAPES))],
                np.array(colorsys.hsv_to_rgb(random.uniform(), random.uniform(0.2, 0.7), 1.0), np.float32) * 255,
                random.uniform(0.13, 0.18) * config.height,
                rim=_RIM,
            )
            for _ in range(config.characters)
        ]

    def paint(self, frame: int, shot: ComposedShot) -> UInt8s:
        """Return picture number `frame`, which is in `shot`, as uint8 RGB `[H, W, 3]`.

        Raises:
            MediaError: if the shot's clip cannot be decoded.
        """
        image = self._read_background(frame, self._places[shot.place])
        offset = np.random.default_rng([self._script.seed, 15, shot.start_frame]).uniform(-0.15, 0.15, 2)
        if shot.clip is not None:
            self._show_clip(image, frame, shot, offset)
        else:
            self._draw_motion(image, frame, shot, offset)
        return self._grader.apply(image, frame)

    def _read_background(self, frame: int, place: _Place) -> Float32s:
        """Return a place's part of the background `[H, W, 3]`."""
        width, height = self._size
        if self._background is None:
            return np.full((height, width, 3), _GREY * place.exposure, np.float32)
        picture = self._background.read_picture(frame)
        top = round(place.top * (picture.shape[0] - height))
        left = round(place.left * (picture.shape[1] - width))
        part = picture[top : top + height, left : left + width]
        if place.mirrored:
            part = part[:, ::-1]
        strength = np.float32(self._script.config.mark_strength * place.exposure)
        return part * strength + np.float32(_GREY * (place.exposure - strength))

    def _draw_motion(self, image: Float32s, frame: int, shot: ComposedShot, offset: Float64s) -> None:
        """Draw the motion of a shot's class; each shot frames it differently."""
        width, height = self._size
        beats = (frame / self._script.config.fps - shot.first_event_seconds) / shot.period_seconds
        event = int(np.floor(beats))
        pose = CONCEPTS[shot.concept % len(CONCEPTS)].motion(beats - event, event)
        opening = self._grader.opening * height  # between the bars of the letterbox
        reach = 0.3 * opening
        x = width * (0.5 + offset[0]) + reach * pose.x
        y = 0.5 * height + (0.7 * offset[1]) * opening + reach * pose.y

        character, copies = self._get_character(shot)
        apart = _COPIES_APART * character.radius * pose.size
        for side in (-1, 1) if pose.separation > 0 else (0,):
            for copy in range(copies):
                at = x + side * reach * pose.separation + apart * (copy - (copies - 1) / 2)
                draw_character(image, character, pose, (at, y))

    def _get_character(self, shot: ComposedShot) -> tuple[Character, int]:
        """Return what moves in a shot, and how many copies of it.

        Where there are more classes than motions, those that share a motion differ by shape, then by whether it is
        hollow, then by the number of its copies.
        """
        character = self._characters[shot.character]
        if len(self._script.classes) <= len(CONCEPTS):
            return character, 1
        variant = shot.concept // len(CONCEPTS)
        shape, hollow = SHAPES[variant % len(SHAPES)], bool(variant // len(SHAPES) % 2)
        copies = 1 + variant // (2 * len(SHAPES))
        radius = character.radius / (1 if copies == 1 else 0.8 * copies)
        return replace(character, shape=shape, hollow=hollow, radius=radius), copies

    def _show_clip(self, image: Float32s, frame: int, shot: ComposedShot, offset: Float64s) -> None:
        """Show the frame of a shot's clip in a window; each shot places it differently."""
        config = self._script.config
        pictures_NPW, _ = load_clip(str(shot.clip), config)
        picture = self._clip_converter.convert(pictures_NPW[find_clip_frame(shot, frame, len(pictures_NPW))])
        width, height = get_inset_size(config)
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        part = picture[top : top + height, left : left + width]
        row = round((config.height - height) * (0.5 + offset[1]))
        column = round((config.width - width) * (0.5 + 3 * offset[0]))
        image[row : row + height, column : column + width] = part
