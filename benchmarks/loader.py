"""Measure the loading of clips: its speed beside other readers, its workers, its memory, and the cost of opening films.

    pip install '.[bench]'
    python benchmarks/loader.py --film FILM [--library LIBRARY] [--rounds 15] [--only speed workers memory opening]

A clip is 16 frames at 16 a second of a 128 px proxy with 2 s of sound. Writes
`benchmarks/results/loader_<part>_<hardware>_<date>.md` for each part (`--out` names another folder). What counts is
ratios within one run: all readers take turns, with the same random windows, on one core, with one thread.
"""

import argparse
import os
import random
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import psutil
import torch

from interleaved import Reader, Take, Turns, processor_seconds
from machine import write_results
from peers import PEERS, RATE_HZ
from talkies.clips import ClipConfig, ClipSource, LoaderConfig, SamplingConfig, load_batches, open_training_clips
from talkies.core import ClipRequest, FilmId, Span
from talkies.ingestion import ingest
from talkies.library import Library, write_json
from talkies.media import yuv_to_rgb

PARTS = ("speed", "workers", "memory", "opening")
FPS, SECONDS = 16, 2
CLIPS, OF_ORIGINAL = 16, 4  # a turn: short ones, so that all meet the same load
OF_COMMAND = 200  # clips: a process takes as long to start as to decode a few
BATCH = 64
SHAPE = ClipConfig().to_shape(FPS)
MOST_LAG = 1600  # samples
MANY = 12  # more films than a source keeps open
MEMORY_CLIPS = 50_000


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--library", type=Path, help="a library that holds the film alone; made if it is not given")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--memory-clips", type=int, default=MEMORY_CLIPS)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        library = (
            Library.open(wanted.library) if wanted.library else ingest([wanted.film], Path(folder) / "one").library
        )
        measures: dict[str, Callable[[], list[str]]] = {
            "speed": lambda: speed(wanted.film, library, wanted.rounds),
            "workers": lambda: workers(library, -(-wanted.rounds // 3)),
            "memory": lambda: memory(many_of(library, Path(folder) / "many"), wanted.memory_clips),
            "opening": lambda: opening(library, wanted.rounds),
        }
        for part in wanted.only:
            cores = os.sched_getaffinity(0)
            if part in ("speed", "opening"):
                os.sched_setaffinity(0, {min(cores)})
            try:
                sections = measures[part]()
            finally:
                os.sched_setaffinity(0, cores)
            write_results(f"loader_{part}", f"Loading clips: {part}", sections, wanted.out)


def speed(film: Path, library: Library, rounds: int) -> list[str]:
    """Return clips/s of every reader, and the ratios that count."""
    path = library.proxy_path(library.films()[0].id)
    ours = Reader("talkies", "proxy", "read for each clip, sample-exact", partial(ours_of, library))
    alone = "libavcodec alone (PyAV, packets in memory, frames dropped)"
    bare = Reader(alone, "proxy", "none", partial(bare_of, path))
    peers = [
        Reader(peer.name, what, peer.sound, partial(peer_of, peer, place, size_of(path)))
        for what, place in (("original", film), ("proxy", path))
        for peer in PEERS
    ]
    differences = {reader: difference_of(reader, library) for reader in peers}
    turns = {reader: Turns(reader) for reader in (ours, bare, *peers)}
    seconds: dict[Reader, list[float]] = {reader: [] for reader in turns}
    command: list[float] = []
    few, many = (windows_of(library, -2, count) for count in (1, OF_COMMAND))
    for turn in range(rounds):
        windows = windows_of(library, turn, CLIPS)
        for reader, spent in seconds.items():
            some = windows if reader.what == "proxy" else windows[:: CLIPS // OF_ORIGINAL]
            spent.append(turns[reader].seconds(some))
        command.append(command_seconds(path, few, many))
    for each in turns.values():
        each.end()
    return speed_lines(film, path, seconds, command, differences)


def speed_lines(
    film: Path, path: Path, seconds: dict[Reader, list[float]], command: list[float], differences: dict[Reader, str]
) -> list[str]:
    """Return the table of all readers, and the ratios that count."""
    (ours, bare, *peers), rounds = seconds, len(command)
    rows = [
        f"| {reader.name} | {reader.what} | {rate(spent)} | {reader.sound} | {differences.get(reader, '')} |"
        for reader, spent in seconds.items()
    ]
    rows.append(
        f"| FFmpeg's command line, on a file of nothing but the frames needed | proxy | {rate(command)} | none | |"
    )
    mine = seconds[ours]
    best = {what: [min(seconds[r][turn] for r in peers if r.what == what) for turn in range(rounds)] for what in KINDS}
    return [
        f"`{film.name}` ({'×'.join(map(str, size_of(film)))}), {rounds} rounds in turns, {CLIPS} clips a round (of the "
        f"original {OF_ORIGINAL} of them), sorted by time for all; each reader "
        "in a process of its own on one core, stopped while it is not its turn; processor time, medians. A clip is "
        f"{SHAPE.frames} frames at {FPS} a second, {min(size_of(path))} px, and {SECONDS} s of sound: from talkies "
        "YUV 4:2:0, cut to the square in the middle, each frame's time checked; from the others RGB, uncut.",
        "",
        "| reader | file | clips/s | sound | pictures differ from talkies' by (mean, of 255) |",
        "|---|---|---|---|---|",
        *rows,
        "",
        *ratio_lines(
            ("the best of the others on the original", mine, best["original"], 15),
            ("the best of the others on the same proxy", mine, best["proxy"], 2.5),
            ("libavcodec alone", mine, seconds[bare], 0.7),
            ("FFmpeg's command line, on the frames that are needed", mine, command, 0.7),
        ),
        f"- clips/s: **{1 / med(mine):.0f}** (wanted: 200)",
    ]


KINDS = ("original", "proxy")


def ours_of(library: Library) -> Take:
    """Return what reads windows as a batch, with films kept open."""
    source = ClipSource(library, SHAPE)
    return source.read_batch


def peer_of(kind: type, path: Path, size: tuple[int, int]) -> Take:
    """Return what reads windows with a peer into one batch, whose memory is used again for the next."""
    peer = kind(path, size)
    space: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def take(windows: Sequence[ClipRequest]) -> tuple[torch.Tensor, torch.Tensor]:
        for place, window in enumerate(windows):
            times = [Fraction(number, FPS) for number in SHAPE.select_video_frames(window.window)]
            clip = peer.clip(Fraction(window.window.start_frame, FPS), times, SECONDS)
            if len(windows) not in space:
                space[len(windows)] = tuple(np.zeros((len(windows), *part.shape), part.dtype) for part in clip)
            for part, made in zip(space[len(windows)], clip, strict=True):
                part[place] = made
        return tuple(torch.from_numpy(part) for part in space[len(windows)])

    return take


def bare_of(path: Path) -> Take:
    """Return what decodes, and drops, the frames that windows need: from the key frame before, in the order of time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        setup = stream.codec_context.extradata
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = setup, 1
    decoder.open()

    def take(windows: Sequence[ClipRequest]) -> None:
        for window in windows:
            wanted = SHAPE.select_video_frames(window.window)
            for number in range(max(key for key in keys if key <= wanted.start), wanted.stop):
                decoder.decode(packets[number])

    return take


def difference_of(reader: Reader, library: Library) -> str:
    """Return how far a reader's pictures are from ours, after checking that they are the same ones."""
    windows = windows_of(library, -1, 8)
    source, (video, audio) = ClipSource(library, SHAPE), reader.make()(windows)
    height, width = video.shape[2:4]
    side = min(height, width)
    top, left = (height - side) // 4 * 2, (width - side) // 4 * 2
    differences, likeness = [], 0.0
    for theirs, their_sound, window in zip(video, audio, windows, strict=True):
        clip = source.read(window)
        mine = np.stack([yuv_to_rgb(picture) for picture in clip.video_TPW]).astype(int)
        differences.append(np.abs(mine - theirs.numpy()[:, top : top + side, left : left + side]).mean())
        likeness = likeness + likeness_by_lag(clip.audio_S, their_sound.numpy())
    difference, best = float(np.mean(differences)), int(np.argmax(likeness)) - MOST_LAG
    assert difference < {"proxy": 3, "original": 8}[reader.what], (reader.name, difference)
    return f"{difference:.1f}; sound {1000 * abs(best) / RATE_HZ:.1f} ms apart"


def likeness_by_lag(mine_S: np.ndarray, theirs_S: np.ndarray) -> np.ndarray:
    """Return the likeness of two sounds at each lag of at most `MOST_LAG` samples."""
    mine, theirs = (np.fft.rfft(sound.astype(float), 2 * len(sound)) for sound in (mine_S, theirs_S))
    products = np.fft.irfft(mine * np.conj(theirs))
    return np.concatenate([products[-MOST_LAG:], products[: MOST_LAG + 1]])


def workers(library: Library, rounds: int, steps: int = 40) -> list[str]:
    """Return clips/s of one worker process and of two."""
    plan_of = SamplingConfig(films_per_batch=1, clips_per_film=BATCH)
    opened = open_training_clips(library.root, ClipConfig(), plan_of, seed=0)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for count, found in rates.items():
            some = range(turn * steps, (turn + 1) * steps)
            batches = load_batches(opened.source, opened.plan, some, LoaderConfig(workers=count))
            for _ in range(4):  # until it is no longer ahead, or behind, of itself
                next(batches)
            begun = time.perf_counter()
            clips = sum(len(batch) for batch in batches)
            found.append(clips / (time.perf_counter() - begun))
    gains = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return [
        f"Batches of {BATCH} clips in this process, read by worker processes, {rounds} rounds in turns:",
        "",
        *(f"- {count} worker{'s' * (count > 1)}: {med(found):.0f} clips/s" for count, found in rates.items()),
        f"- two workers do **{med(gains):.2f}** times the work of one ({listed(gains)}; wanted: 1.8)",
    ]


def memory(library: Library, clips: int) -> list[str]:
    """Return what a worker holds while it reads many clips of more films than it keeps open."""
    sampling = SamplingConfig(films_per_batch=MANY // 2, clips_per_film=16)
    opened = open_training_clips(library.root, ClipConfig(), sampling, seed=0)
    steps = -(-clips // opened.plan.config.batch_clips)
    done, rows, marks = 0, [], [clips * part // 10 for part in range(1, 11)]
    for batch in load_batches(opened.source, opened.plan, range(steps), LoaderConfig(workers=1)):
        done += len(batch)
        if done >= marks[0]:
            marks.pop(0)
            worker = max(psutil.Process().children(recursive=True), key=lambda process: process.cpu_times().user)
            held, own = worker.memory_full_info().uss / 1e6, psutil.Process().memory_full_info().uss / 1e6
            rows.append((done, held, own, worker.num_fds(), worker.num_threads()))
    growth = rows[-1][1] - rows[1][1]
    return [
        f"One worker process, {clips:,} clips of {MANY} films in batches of {MANY // 2} films × 16 clips:",
        "",
        "| clips | worker's own memory | this process's | worker's open files | its threads |",
        "|---|---|---|---|---|",
        *(f"| {at:,} | {held:.0f} MB | {own:.0f} MB | {files} | {threads} |" for at, held, own, files, threads in rows),
        "",
        f"From the second row to the last the worker's memory grew by **{growth:.1f} MB**.",
    ]


def opening(library: Library, rounds: int) -> list[str]:
    """Return clips/s when every film is opened anew for 1 and for 16 clips, beside films that stay open."""
    path = library.proxy_path(library.films()[0].id)
    size = size_of(path)

    def ours(windows: Sequence[ClipRequest]) -> None:
        source = ClipSource(library, SHAPE)
        source.read_batch(windows)
        source.close()

    def theirs(peer: type) -> Take:
        def take(windows: Sequence[ClipRequest]) -> None:
            peer_of(peer, path, size)(windows)

        return take

    readers = {"talkies, its films kept open": ours_of(library), "talkies": ours}
    readers |= {peer.name.partition(":")[0]: theirs(peer) for peer in PEERS}
    rows = []
    for name, take in readers.items():
        rates = []
        for count in (16, 1):
            spent = [
                processor_seconds(lambda turn=turn, count=count, take=take: take(windows_of(library, turn, count)))
                / count
                for turn in range(rounds * (4 if count == 1 else 1))
            ]
            rates.append(rate(spent))
        rows.append(f"| {name} | {' | '.join(rates)} |")
    return [
        "Clips/s from the proxy when it is opened anew for so many clips; processor time on one core, medians:",
        "",
        "| reader | 16 clips an opening | 1 clip an opening |",
        "|---|---|---|",
        *rows,
    ]


def many_of(library: Library, folder: Path) -> Library:
    """Return a library of several films that are all the same one."""
    film_id, many = library.films()[0].id, Library.create(folder, library.profile)
    record = library.record_of(film_id)
    assert record is not None
    for number in range(MANY):
        copy = FilmId(f"{number:016x}")
        with many.commit_film(copy) as made:
            for path in library.film_folder(film_id).iterdir():
                if path.name != "film.json":
                    (made / path.name).symlink_to(path.resolve())
            write_json(made / "film.json", record.model_copy(update={"film_id": copy}))
    many.update_catalogue()
    return many


def windows_of(library: Library, seed: int, count: int) -> list[ClipRequest]:
    """Return random windows of a library's one film in the order of time."""
    film, length = library.films()[0], SHAPE.window_frames
    starts = random.Random(seed).sample(range(film.frames - length), count)
    return [ClipRequest(film.id, Span(start, start + length)) for start in sorted(starts)]


def command_seconds(path: Path, few: Sequence[ClipRequest], many: Sequence[ClipRequest]) -> float:
    """Return the processor time that FFmpeg's command line takes for a clip, with one thread.

    Two files are decoded that hold nothing but the frames that the windows need, from the key frame before on, and what
    the longer takes more than the shorter is counted: what remains is decoding.
    """
    with tempfile.TemporaryDirectory() as folder:
        spent = []
        for windows in (few, many):
            needed = Path(folder) / f"{len(windows)}.mp4"
            write_needed(path, windows, needed)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", str(needed), "-f", "null", "-"]
            subprocess.run(command, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return (spent[1] - spent[0]) / (len(many) - len(few))


def write_needed(path: Path, windows: Sequence[ClipRequest], target: Path) -> None:
    """Copy the packets that the windows need into a file of their own, without decoding them."""
    with av.open(str(path)) as source, av.open(str(target), "w") as made:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        track, count, begins = made.add_stream_from_template(stream), 0, set(keys)
        for window in windows:
            wanted = SHAPE.select_video_frames(window.window)
            for number in range(max(key for key in keys if key <= wanted.start), wanted.stop):
                packet = av.Packet(bytes(packets[number]))
                packet.stream, packet.time_base, packet.is_keyframe = track, stream.time_base, number in begins
                packet.pts = packet.dts = count * packets[1].pts
                made.mux(packet)
                count += 1


def size_of(path: Path) -> tuple[int, int]:
    """Return the width and the height of a film's pictures."""
    with av.open(str(path)) as container:
        return container.streams.video[0].width, container.streams.video[0].height


def ratio_lines(*wanted: tuple[str, list[float], list[float], float]) -> list[str]:
    """Return how many times faster we are than others, as a line each: the median of the rounds, and the rounds."""
    lines = []
    for name, ours, others, goal in wanted:
        ratios = [other / mine for mine, other in zip(ours, others, strict=True)]
        lines.append(f"- × {name}: **{med(ratios):.2f}** ({listed(ratios)}; wanted: {goal:g})")
    return lines


def rate(seconds: list[float]) -> str:
    """Return clips/s."""
    return f"{1 / med(seconds):.1f}" if med(seconds) > 0.02 else f"{1 / med(seconds):.0f}"


def listed(values: list[float]) -> str:
    """Return the values of the rounds."""
    return ", ".join(f"{value:.2f}" for value in values)


def med(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


if __name__ == "__main__":
    main()
