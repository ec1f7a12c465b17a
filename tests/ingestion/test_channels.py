"""Films whose sound a mono mix would lose are ingested with it, and their reason says what was used."""

import json
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.ingestion import ingest

RATE_HZ = 16_000
BEEPS = (0.5, 1.3, 2.6, 3.2)


def make_beeps(seconds: float = 4.0, frequency: int = 1000) -> npt.NDArray[np.float64]:
    time_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sounds_S = np.any([(start <= time_S) & (time_S < start + 0.2) for start in BEEPS], axis=0)
    return np.asarray(16_000 * np.sin(2 * np.pi * frequency * time_S) * sounds_S)


def write_film(path: Path, samples_CS: npt.NDArray[np.float64], layout: str) -> Path:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = container.add_stream("pcm_s16le", rate=RATE_HZ, layout=layout)
        for number in range(25 * samples_CS.shape[1] // RATE_HZ):
            picture: Any = np.random.default_rng(number).integers(0, 255, (48, 64, 3)).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        packed_1S: Any = np.ascontiguousarray(samples_CS.T.astype(np.int16).reshape(1, -1))
        step = len(samples_CS) * 1024
        for start in range(0, packed_1S.shape[1], step):
            frame = av.AudioFrame.from_ndarray(packed_1S[:, start : start + step], format="s16", layout=layout)
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = start // len(samples_CS)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def arrange(kind: str) -> tuple[npt.NDArray[np.float64], str]:
    """Return the channels of a film, and their layout."""
    beeps_S, count = make_beeps(), {"sixteen": 16, "pair": 16, "surround": 6, "lfe": 6}.get(kind, 2)
    samples_CS = np.zeros((count, len(beeps_S)))
    if kind in ("antiphase", "partly", "usual"):
        samples_CS[:] = beeps_S
        samples_CS[1, {"antiphase": 0, "partly": 40_000, "usual": len(beeps_S)}[kind] :] *= -1
    elif kind == "surround":
        samples_CS[0], samples_CS[1], samples_CS[2] = beeps_S, -0.8 * beeps_S, make_beeps(frequency=300)
    else:
        samples_CS[{"sixteen": [12], "pair": [4, 5], "lfe": [3]}[kind]] = beeps_S
    return samples_CS, {2: "stereo", 6: "5.1", 16: "16 channels"}[count]


@pytest.mark.parametrize(
    ("kind", "container", "text"),
    [
        ("antiphase", "mov", "a mono mix of all its 2 channels would lose sound; only channel 1 is used"),
        ("partly", "mkv", "for 0.50 s a mono mix would lose the sound; the loudest channel is used there"),
        ("surround", "mov", "a mono mix of all its 6 channels would lose sound; only channels 1, 3, 5 and 6 are used"),
        ("lfe", "mov", "a mono mix of all its 6 channels would lose sound; only channel 4 is used"),
        ("sixteen", "mkv", "a mono mix of all its 16 channels would lose sound; only channel 13 is used"),
        ("pair", "mov", "a mono mix of all its 16 channels would lose sound; only channels 5 and 6 are used"),
        ("usual", "mkv", None),
    ],
)
def test_no_beep_is_lost_and_the_reason_says_which_channels_are_used(
    tmp_path: Path, kind: str, container: str, text: str | None
) -> None:
    path = write_film(tmp_path / f"film.{container}", *arrange(kind))
    (film,) = ingest([path], tmp_path / "library").films
    folder = tmp_path / "library" / "films" / film.record.film_id
    record = json.loads((folder / "film.json").read_text())
    found = {reason["code"]: reason["text"] for reason in record["reasons"]}
    assert found == ({} if text is None else {"channels_left_out": text})
    assert record["verdict"] == ("accepted" if text is None else "accepted with warnings")

    with wave.open(str(folder / "audio.wav")) as file:
        heard_S = np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int))
    loud = np.flatnonzero(heard_S > 800) / RATE_HZ
    assert loud[np.diff(loud, prepend=-1) > 0.2] == pytest.approx(BEEPS, abs=0.003)
    assert record["measures"]["silent_frames"] < 0.9 * record["frames"]
