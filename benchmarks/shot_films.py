"""Films with known shots: cuts, short shots, dissolves, fades, flashes, strobes, grain, motion and night.

A film is a list of scenes with a transition between each and the next. A scene is a procedural place with a moving
camera and moving things, or an excerpt of one real shot. Everything follows from the seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

import av
import cv2
import numpy as np

FPS, WIDTH, HEIGHT = 25, 320, 180
GRID_FPS = 16
"""The library's pictures per second, in which the truth is given."""

Picture = np.ndarray
Scene = Callable[[int], Picture]
"""Returns frame `i` of a scene: float32 `[H, W, 3]` in red, green, blue, from 0 to 255."""


@dataclass(frozen=True)
class Truth:
    """A boundary between shots: the frames of the library's grid in which it may lie, and what kind it is."""

    first: int
    last: int
    kind: str


@dataclass(frozen=True)
class Style:
    """What happens to the pictures after the cut: grain (standard deviation), brightness, colour, flashes by frame."""

    grain: float = 3.0
    gain: float = 1.0
    grey: bool = False
    light: dict[int, float] = field(default_factory=dict)  # added to the picture, or below −255: black


@dataclass(frozen=True)
class Plan:
    """A film: lengths of its shots and transitions in source frames, and its look."""

    name: str
    lengths: Sequence[int]
    transitions: Sequence[tuple[str, int]]  # the kind, and its length: 0 for a cut
    speed: float = 1.0  # of the camera
    look: Style = Style()

    @property
    def truth(self) -> list[Truth]:
        """The boundaries on the library's grid; a dissolve's or fade's may lie anywhere in it."""
        found, at = [], 0
        for length, (kind, span) in zip(self.lengths, self.transitions, strict=False):
            at += length
            first, last = (at - span // 2, at + span - span // 2) if span else (at, at)
            found.append(Truth(ceil(first * GRID_FPS / FPS), ceil(last * GRID_FPS / FPS), kind))
        return found


def make_plans(seed: int) -> list[Plan]:
    """Return the plans of one film of each family."""
    rng = np.random.default_rng(seed)

    def lengths(count: int, low: float, high: float) -> list[int]:
        return [int(FPS * seconds) for seconds in rng.uniform(low, high, count)]

    def spans(kind: str, count: int, low: float, high: float) -> list[tuple[str, int]]:
        return [(kind, int(FPS * seconds)) for seconds in rng.uniform(low, high, count)]

    cut = ("cut", 0)
    flashes = {at + k: float(rng.uniform(60, 220)) for at in range(20, 20 * FPS, 37) for k in range(rng.integers(1, 4))}
    strobe = {at: 150.0 for at in range(50, 450) if at // 2 % 3 == 0}
    blinks = {at: -999.0 for at in range(50, 450) if at // 3 % 3 == 0}
    short = [length for pair in zip(lengths(10, 1, 2), lengths(10, 0.24, 0.5), strict=True) for length in pair]
    return [
        Plan("cuts", lengths(14, 1.5, 4), [cut] * 13),
        Plan("short shots", short, [cut] * 19),
        Plan("dissolves", lengths(10, 3, 5), spans("dissolve", 9, 0.5, 2)),
        Plan("fades", lengths(10, 3, 5), spans("fade", 9, 0.6, 2)),
        Plan("motion", lengths(12, 1.5, 4), [cut] * 11, speed=6),
        Plan("night", lengths(12, 1.5, 4), [cut] * 11, look=Style(grain=2, gain=0.12)),
        Plan("grain, cuts", lengths(12, 1.5, 4), [cut] * 11, look=Style(grain=30)),
        Plan("grain", [20 * FPS], [], look=Style(grain=float(rng.uniform(20, 40)))),
        Plan("flashes", [20 * FPS], [], look=Style(light=flashes)),
        Plan("flashes, cuts", lengths(10, 1.5, 3), [cut] * 9, look=Style(light=flashes)),
        Plan("strobe", [20 * FPS], [], look=Style(light=strobe)),
        Plan("black strobe", [20 * FPS], [], look=Style(light=blinks)),
        Plan("pan", [20 * FPS], [], speed=12),
    ]


def in_grey(plan: Plan) -> Plan:
    """Return the plan of the same film in black and white."""
    return replace(plan, look=replace(plan.look, grey=True))


def make_place(rng: np.random.Generator, speed: float) -> Scene:
    """Return a procedural scene: a landscape of blotches and edges, a moving camera, and things that cross it."""
    wide, high = WIDTH * 4, HEIGHT * 2
    palette = rng.uniform(20, 235, (6, 3))
    layers = [cv2.resize(rng.normal(size=(n, 2 * n)), (wide, high), interpolation=cv2.INTER_CUBIC) for n in (3, 6, 12)]
    height = layers[0] + 0.6 * layers[1] + 0.35 * layers[2]
    bands = np.digitize(height, np.quantile(height, np.linspace(0, 1, 7)[1:-1]))
    detail = cv2.resize(rng.normal(size=(48, 96)), (wide, high), interpolation=cv2.INTER_LINEAR)
    world = np.clip(palette[bands] + 18 * detail[..., None], 0, 255).astype(np.float32)
    drift = speed * rng.uniform(0.2, 1.0) * np.array([np.cos(a := rng.uniform(0, 6.3)), 0.3 * np.sin(a)])
    things = [(rng.uniform(0, 1, 2), speed * rng.normal(0, 1.5, 2), rng.uniform(10, 30), rng.uniform(0, 255, 3))
              for _ in range(rng.integers(1, 4))]  # fmt: skip
    start = np.array([wide - WIDTH, high - HEIGHT]) * rng.uniform(0.3, 0.7, 2)

    def frame(i: int) -> Picture:
        x, y = (_bounce(start + drift * i, np.array([wide - WIDTH, high - HEIGHT])) + 0.5).astype(int)
        picture = world[y : y + HEIGHT, x : x + WIDTH].copy()
        for place, step, radius, colour in things:
            centre = _bounce(place * (WIDTH, HEIGHT) + step * i, np.array([WIDTH, HEIGHT]))
            cv2.circle(picture, (int(centre[0]), int(centre[1])), int(radius), [float(c) for c in colour], -1)
        return picture

    return frame


def _bounce(value: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return positions that turn round at 0 and at the limit."""
    folded = np.mod(value, 2 * limit)
    return np.where(folded > limit, 2 * limit - folded, folded) * (1 - 1e-9)


def render(plan: Plan, scenes: Sequence[Scene], seed: int) -> Iterator[np.ndarray]:
    """Yield the pictures of a film: uint8 `[H, W, 3]` in red, green, blue."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(plan.lengths)
    for i in range(ends[-1]):
        picture = _finish(_mix(plan, scenes, ends, i), plan.look, i)
        if not picture.flags.writeable:
            picture = picture.copy()
        noise = rng.normal(0, plan.look.grain, (HEIGHT, WIDTH, 1 if plan.look.grey else 3))
        yield np.clip(picture + noise, 0, 255).astype(np.uint8)


def _mix(plan: Plan, scenes: Sequence[Scene], ends: np.ndarray, i: int) -> Picture:
    """Return frame `i` of a film before its look: of one scene, or of two within a transition."""
    shot = int(np.searchsorted(ends, i, side="right"))
    for before in (shot - 1, shot):  # the transition at the shot's beginning or at its end
        if not 0 <= before < len(plan.transitions):
            continue
        kind, span = plan.transitions[before]
        begins = ends[before] - span // 2
        if span and begins <= i < begins + span:
            share = (i - begins + 0.5) / span
            old, new = scenes[before](i), scenes[before + 1](i)
            if kind == "dissolve":
                return (1 - share) * old + share * new
            return old * (1 - 2 * share) if share < 0.5 else new * (2 * share - 1)
    return scenes[shot](i)


def _finish(picture: Picture, look: Style, i: int) -> Picture:
    picture = picture * look.gain
    if look.grey:
        picture = np.repeat(picture @ np.array([[0.299], [0.587], [0.114]]), 3, axis=2)
    light = look.light.get(i, 0.0)
    return picture + light if light > -255 else picture * 0.0


def write_film(path: Path, pictures: Iterator[np.ndarray]) -> None:
    """Write pictures as an H.264 film without sound."""
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "23", "threads": "1"}
        stream = container.add_stream(
            "libx264", rate=FPS, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p", options=options
        )
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def read_excerpts(path: Path, spans: Sequence[tuple[float, float]] | None) -> list[Scene]:
    """Return excerpts of a real film (of one shot each) as scenes; without spans the whole film is one."""
    until = max(end for _, end in spans) if spans else None
    pictures = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            if until is not None and frame.time >= until:
                break
            pictures.append((frame.time, frame.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray()))
    if spans is None:
        return [_loop([picture for _, picture in pictures])]
    return [_loop([picture for time, picture in pictures if start <= time < end]) for start, end in spans]


def _loop(pictures: list[np.ndarray]) -> Scene:
    """Return a scene that plays pictures forwards and backwards."""
    last = len(pictures) - 1
    return lambda i: pictures[last - abs(last - i % (2 * last))].astype(np.float32)


def choose_different(rng: np.random.Generator, scenes: Sequence[Scene], count: int) -> list[Scene]:
    """Return scenes at random, neighbours of which begin with different pictures."""
    chosen = [int(rng.integers(len(scenes)))]
    while len(chosen) < count:
        number = int(rng.integers(len(scenes)))
        if number != chosen[-1] and _correlate(scenes[number](0), scenes[chosen[-1]](0)) < 0.4:
            chosen.append(number)
    return [scenes[number] for number in chosen]


def _correlate(a: Picture, b: Picture) -> float:
    small = [cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA).mean(axis=2).ravel() for picture in (a, b)]
    return float(np.corrcoef(small)[0, 1])
