"""Small pictures with and without bars, drawn as a film's scaled-down pictures look: soft, noisy, and moving."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 128, 228
SCALE = 2  # pictures are drawn this many times as large: bars end within a row of the small picture
BLACK = 16


@dataclass(frozen=True)
class Bars:
    """Bars as shares of the height (top, bottom) and of the width (left, right)."""

    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0


@dataclass(frozen=True)
class Look:
    """How pictures look: brightness of the content, level of the bars, grain, subtitles and a logo in the bars."""

    light: float = 1.0
    level: int = BLACK
    grain: float = 0.0
    subtitles: int = 0
    logo: bool = False


@lru_cache(maxsize=128)
def draw_scene(number: int) -> npt.NDArray[np.float64]:
    """Return picture `number` of a film of many scenes, large, 0 to 1: waves of brightness that drift."""
    scene = np.random.default_rng(number // 24)
    y = np.arange(HEIGHT * SCALE)[:, None] / (HEIGHT * SCALE)
    x = np.arange(WIDTH * SCALE)[None, :] / (HEIGHT * SCALE)
    picture = np.full((HEIGHT * SCALE, WIDTH * SCALE), 0.45)
    for _ in range(5):
        fx, fy, phase, speed = scene.uniform(-14, 14, 4)
        angle_x, angle_y = fx * x + phase + speed * number / 100, fy * y
        picture += 0.11 * (np.sin(angle_x) * np.cos(angle_y) + np.cos(angle_x) * np.sin(angle_y))
    shade = scene.uniform(0.8, 1.0)
    return np.clip(picture * shade, 0.02, 1)


def frame_scene(content: npt.NDArray[np.float64], bars: Bars, look: Look, number: int = 0) -> Picture:
    """Return a small picture: content within bars."""
    height, width = content.shape
    top, bottom = round(bars.top * height), height - round(bars.bottom * height)
    left, right = round(bars.left * width), width - round(bars.right * width)
    large = np.full(content.shape, float(look.level))
    large[top:bottom, left:right] = BLACK + 219 * look.light * content[top:bottom, left:right]

    letters = np.random.default_rng(number // 32)
    for line in range(look.subtitles):  # strokes in the lower bar, 60 % of the width
        y = height - SCALE * (5 + 6 * line)
        for x in range(int(0.2 * width), int(0.8 * width), 3 * SCALE):
            if letters.random() < 0.85:
                large[y - 3 * SCALE : y, x : x + letters.integers(1, 3)] = 235
    if look.logo:
        large[4 * SCALE : 12 * SCALE, width - 28 * SCALE : width - 10 * SCALE] = 200

    noise = np.random.default_rng(number)
    large += noise.normal(0, look.grain, large.shape) if look.grain else 0
    blurred = (np.roll(large, 1, 0) + 2 * large + np.roll(large, -1, 0)) / 4  # codecs blur edges
    blurred[[0, -1]] = large[[0, -1]]
    small = blurred.reshape(HEIGHT, SCALE, WIDTH, SCALE).mean((1, 3)) + noise.normal(0, 0.5, (HEIGHT, WIDTH))
    return small.round().clip(0, 255).astype(np.uint8)


def draw_film(frames: int, bars: Bars, look: Look | None = None, start: int = 0) -> Iterator[Picture]:
    """Yield the pictures of a film, one for each fourth frame that a finder looks at."""
    for number in range(start, start + frames):
        yield frame_scene(draw_scene(number), bars, look or Look(), number)
