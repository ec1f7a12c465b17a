"""Measure three ways to keep training audio: FLAC, PCM that is read, PCM that is mapped into memory.

    python benchmarks/audio_format.py --film FILM

Writes `benchmarks/results/audio_format_<hardware>_<date>.md`: size, and spans of 2 s read a second at random places,
each checked to be the samples that were written.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from machine import write_results
from talkies.core import Grid, Span
from talkies.media import AudioReader, FilmResampler, ResampledAudio, open_wav_writer, probe

RATE, FPS, SPAN = 16_000, 16, 32
HEADER_BYTES = 44
READS = 2_000


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film", type=Path, required=True)
    film = parser.parse_args().film
    parts = FilmResampler(film, probe(film), Grid(FPS, RATE), 128, threads=2)
    samples = np.concatenate([part.samples_S for part in parts if isinstance(part, ResampledAudio)])
    with tempfile.TemporaryDirectory() as folder:
        wav, flac = Path(folder) / "audio.wav", Path(folder) / "audio.flac"
        with open_wav_writer(wav, RATE) as file:
            file.writeframes(samples.astype("<i2").tobytes())
        write_flac(flac, samples)
        mapped = AudioReader(wav)
        ways: dict[str, tuple[Path, Callable[[int], np.ndarray], int]] = {
            "FLAC, sought and decoded": (flac, lambda start: read_flac(flac, start), READS // 10),
            "PCM, opened, sought and read": (wav, lambda start: read_pcm(wav, start), READS),
            "PCM, mapped into memory": (
                wav,
                lambda start: mapped.read(Span(start // 1000, start // 1000 + SPAN), 1000),
                READS,
            ),
        }
        rows = ["| | MB an hour | spans of 2 s a second |", "|---|---|---|"]
        for name, (path, read, reads) in ways.items():
            rate = spans_a_second(read, samples, reads)
            rows.append(f"| {name} | {path.stat().st_size / len(samples) * RATE * 3600 / 1e6:.0f} | {rate:.0f} |")
    write_results("audio_format", "Training audio: size against speed", [f"`{film.name}`, mono, {RATE} Hz:", "", *rows])


def spans_a_second(read: Callable[[int], np.ndarray], samples: np.ndarray, reads: int) -> float:
    """Return how many spans of 2 s are read a second, at random places; each must be what was written."""
    starts = np.random.default_rng(0).integers(0, len(samples) // 1000 - SPAN, reads) * 1000
    begun = time.perf_counter()
    spans = [read(int(start)) for start in starts]
    elapsed = time.perf_counter() - begun
    for start, span in zip(starts, spans, strict=True):
        assert np.array_equal(span, samples[start : start + SPAN * 1000]), f"other samples at {start}"
    return reads / elapsed


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Write samples as FLAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono", options={"compression_level": "5"})
        for start in range(0, len(samples), RATE):
            piece = np.ascontiguousarray(samples[None, start : start + RATE])
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_flac(path: Path, start: int) -> np.ndarray:
    """Return 2 s of a FLAC file from sample `start` on."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        container.seek(int(start / RATE / stream.time_base), stream=stream, backward=True)
        parts, first = [], None
        for frame in container.decode(stream):
            at = round(frame.pts * frame.time_base * RATE)
            first = at if first is None else first
            parts.append(frame.to_ndarray().reshape(-1))
            if at + frame.samples >= start + SPAN * 1000:
                break
    return np.concatenate(parts)[start - first :][: SPAN * 1000]


def read_pcm(path: Path, start: int) -> np.ndarray:
    """Return 2 s of a PCM file from sample `start` on."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES + 2 * start)
        return np.frombuffer(file.read(2 * SPAN * 1000), "<i2")


if __name__ == "__main__":
    main()
