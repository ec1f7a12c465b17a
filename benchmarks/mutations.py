"""Harm real films in every way that disks and networks do, ingest them, and look at what became of each."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random

import av

from talkies.core import Span
from talkies.library import FilmEntry, Library
from talkies.media import AudioReader, VideoReader

_SECONDS = Fraction(5, 2)
_LONGEST_SECONDS = 60  # for films of three seconds
_ENDS_BYTES = 4096
_SECTOR_BYTES = 512
_MACHINES_FAULT = ("crashed", "timed_out", "out_of_memory")


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _beheaded(data: bytes, random: Random) -> bytes:
    return data[random.randint(1, len(data) // 2) :]


def _flipped(data: bytes, random: Random, begin: int, end: int, most: int) -> bytes:
    harmed = bytearray(data)
    for _ in range(random.randint(1, most)):
        harmed[random.randrange(begin, end)] ^= random.randint(1, 255)
    return bytes(harmed)


def _few_flipped(data: bytes, random: Random) -> bytes:
    return _flipped(data, random, 0, len(data), 10)


def _many_flipped(data: bytes, random: Random) -> bytes:
    return _flipped(data, random, 0, len(data), 1000)


def _head_flipped(data: bytes, random: Random) -> bytes:
    return _flipped(data, random, 0, min(len(data), _ENDS_BYTES), 20)


def _tail_flipped(data: bytes, random: Random) -> bytes:
    return _flipped(data, random, max(0, len(data) - _ENDS_BYTES), len(data), 20)


def _run_dropped(data: bytes, random: Random) -> bytes:
    begin = random.randrange(len(data))
    return data[:begin] + data[begin + random.randint(1, max(1, len(data) // 8)) :]


def _garbage_inserted(data: bytes, random: Random) -> bytes:
    begin = random.randrange(len(data))
    return data[:begin] + random.randbytes(random.randint(1, max(1, len(data) // 8))) + data[begin:]


def _sectors_zeroed(data: bytes, random: Random) -> bytes:
    harmed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        begin = random.randrange(0, len(data), _SECTOR_BYTES)
        end = min(len(data), begin + _SECTOR_BYTES * random.randint(1, 16))
        harmed[begin:end] = bytes(end - begin)
    return bytes(harmed)


def _runs_exchanged(data: bytes, random: Random) -> bytes:
    a, b, c, d = sorted(random.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _sizes_changed(data: bytes, random: Random) -> bytes:
    """Put numbers that break arithmetic where numbers may stand."""
    harmed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(max(1, min(len(data), 4 * _ENDS_BYTES) - 4))
        number = random.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00FFFFFF, random.randrange(1 << 32)])
        harmed[place : place + 4] = number.to_bytes(4, random.choice(["big", "little"]))
    return bytes(harmed)


KINDS: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut": _cut,
    "beheaded": _beheaded,
    "few bytes flipped": _few_flipped,
    "many bytes flipped": _many_flipped,
    "head flipped": _head_flipped,
    "tail flipped": _tail_flipped,
    "run dropped": _run_dropped,
    "garbage inserted": _garbage_inserted,
    "sectors zeroed": _sectors_zeroed,
    "runs exchanged": _runs_exchanged,
    "sizes changed": _sizes_changed,
}


def make_originals(data: Path, folder: Path) -> list[Path]:
    """Return short films of eight containers and many codecs, all made of the real media in `data`."""
    folder.mkdir(parents=True)
    clip, awkward = data / "actions" / "fall" / "subject3_01.mp4", data / "awkward"
    copies = {
        "fragmented.mp4": awkward / "androidx-media__sample_fragmented.mp4",
        "quicktime.mov": awkward / "androidx-media__bt601.mov",
        "h264-ac3.mkv": awkward / "androidx-media__sample.mkv",
        "mpeg4-mp3.avi": awkward / "androidx-media__sample-unflagged-audio-keyframes.avi",
    }
    for name, real in copies.items():
        (folder / name).write_bytes(real.read_bytes())
    remux(data / "films" / "tears_of_steel_excerpt.webm", folder / "vp8-vorbis.webm")
    for name in ("h264-aac.mp4", "h264-aac.mkv", "h264-aac.ts", "h264-aac.flv"):
        remux(clip, folder / name)
    transcode(clip, folder / "vp9-opus.webm", "libvpx-vp9", "libopus", 48_000)
    transcode(clip, folder / "mpeg2-mp2.ts", "mpeg2video", "mp2", 48_000)
    transcode(clip, folder / "mjpeg-pcm.avi", "mjpeg", "pcm_s16le", 16_000)
    transcode(clip, folder / "hevc-flac.mkv", "libx265", "flac", 48_000)
    transcode(clip, folder / "h263-amr.3gp", "h263", "libopencore_amrnb", 8_000, (176, 144))
    return sorted(folder.iterdir())


def remux(source: Path, target: Path) -> None:
    """Write the first seconds of a film's packets, as they are, into another container."""
    with av.open(str(source)) as film, av.open(str(target), "w") as container:
        kept = [film.streams.video[0], film.streams.audio[0]]
        written = {stream.index: container.add_stream_from_template(stream) for stream in kept}
        for packet in film.demux(kept):
            if packet.dts is not None and packet.dts * packet.time_base < _SECONDS:
                packet.stream = written[packet.stream_index]
                container.mux(packet)


def transcode(
    source: Path, target: Path, video: str, audio: str, rate_hz: int, size: tuple[int, int] = (320, 240)
) -> None:
    """Write the first seconds of a film in other codecs, at 25 pictures a second."""
    with av.open(str(source)) as film, av.open(str(target), "w") as container:
        quiet = {"x265-params": "log-level=none"} if video == "libx265" else {}
        pictures = container.add_stream(video, rate=25, options=quiet)
        pictures.width, pictures.height = size
        pictures.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
        sounds = container.add_stream(audio, rate=rate_hz, layout="mono" if rate_hz < 48_000 else "stereo")
        resampler = av.AudioResampler(sounds.format, sounds.layout, rate_hz, sounds.codec_context.frame_size or None)
        number = 0
        for frame in film.decode(video=0, audio=0):
            if isinstance(frame, av.AudioFrame):
                for part in resampler.resample(frame):
                    container.mux(sounds.encode(part))
            elif number < 25 * _SECONDS:
                small = frame.reformat(*size, format=pictures.pix_fmt)
                small.pts, small.time_base, small.pict_type = number, Fraction(1, 25), av.video.frame.PictureType.NONE
                container.mux(pictures.encode(small))
                number += 1
        container.mux([*pictures.encode(None), *sounds.encode(None)])


@dataclass(frozen=True, slots=True)
class Harmed:
    """A mutated file: its number, the original, and what was done to it."""

    number: int
    original: Path
    kind: str

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.number:05d} {self.kind} {self.original.name}"

    def bytes(self, seed: int) -> bytes:
        """Return its bytes: the same for the same seed, number, original and kind."""
        random = Random(f"{seed} {self.name}")
        return KINDS[self.kind](self.original.read_bytes(), random)


def harmed_films(originals: Sequence[Path], count: int) -> list[Harmed]:
    """Return `count` mutations, spread evenly over originals and kinds."""
    pairs = [(original, kind) for kind in KINDS for original in originals]
    return [Harmed(number, *pairs[number % len(pairs)]) for number in range(count)]


@dataclass(slots=True)
class MutationReport:
    """What became of mutated files; `suspect` are verdicts that blame the machine, which a file should not bring."""

    files: int = 0
    seconds: float = 0.0
    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # container, kind, verdict
    reasons: Counter[str] = field(default_factory=Counter)
    suspect: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def ingest_harmed(films: Sequence[Harmed], seed: int, folder: Path, library: Path, report: MutationReport) -> None:
    """Write mutated files to `folder`, ingest them with two workers, and add what became of each to the report."""
    folder.mkdir(parents=True)
    by_name = {film.name: film for film in films}
    for film in films:
        (folder / film.name).write_bytes(film.bytes(seed))
    command = [sys.executable, "-m", "talkies", "ingest", str(folder), "--library", str(library), "--workers", "2"]
    command += ["--set", f"worker.film_seconds={_LONGEST_SECONDS}", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=3600)
    report.faults += [f"'{w}' on stderr: {done.stderr}" for w in ("Traceback", "a fault in") if w in done.stderr]
    try:
        document = json.loads(done.stdout)
    except ValueError:
        report.faults.append(f"no document on stdout, exit status {done.returncode}: {done.stderr}")
        return
    usable = any(film["verdict"] != "rejected" for film in document["films"])
    if done.returncode != (0 if usable else 2):
        report.faults.append(f"exit status {done.returncode}: {done.stderr}")
    report.seconds += document["seconds"]
    report.faults += [f"no verdict: {failure}" for failure in document["failures"]]
    judged = {Path(film["source"]).name: film for film in document["films"]}
    report.faults += [f"no verdict on {name}" for name in by_name.keys() - judged.keys()]
    for name, film in judged.items():
        _count(by_name[name], film, report)


def _count(harmed: Harmed, film: dict, report: MutationReport) -> None:
    report.files += 1
    report.verdicts[harmed.original.suffix[1:], harmed.kind, film["verdict"]] += 1
    report.reasons.update(film["reasons"])
    report.suspect += [
        f"{harmed.name}: {code}: {text}"
        for code, text in zip(film["reasons"], film["messages"], strict=True)
        if code in _MACHINES_FAULT
    ]


def faults_of(library: Path) -> list[str]:
    """Return what is wrong with a library's films when each is read from its first frame and sample to its last."""
    opened = Library.open(library)
    return [fault for film in opened.films() if film.usable for fault in _faults_of(opened, film)]


def _faults_of(library: Library, film: FilmEntry) -> list[str]:
    profile, whole = library.profile, Span(0, film.frames)
    try:
        with VideoReader(library.proxy_path(film.id), profile.fps) as video:
            shape = video.read(range(film.frames)).shape
        sound = AudioReader(library.audio_path(film.id))
        samples = len(sound.read(whole, profile.grid.samples_per_frame))
        marks = library.annotations_of(film.id)
    except Exception as error:  # noqa: BLE001  # each is a fault to be listed
        return [f"{film.name}: {type(error).__name__}: {error}"]
    expected = (film.frames, film.height * 3 // 2, film.width)
    found = [] if shape == expected else [f"{film.name}: its pictures are {shape}, not {expected}"]
    if not samples == len(sound) == film.frames * profile.grid.samples_per_frame:
        found.append(f"{film.name}: {len(sound)} samples for {film.frames} frames")
    shots = marks["shot"]
    if [shots[0].start_frame, *(s.end_frame for s in shots)] != [*(s.start_frame for s in shots), film.frames]:
        found.append(f"{film.name}: its shots do not cover it: {shots}")
    if any(not 0 <= s.start_frame < s.end_frame <= film.frames for spans in marks.values() for s in spans):
        found.append(f"{film.name}: marked spans outside of it")
    return found
