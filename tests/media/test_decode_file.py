"""`decode_file`: a short file decoded into memory."""

from pathlib import Path

import numpy as np
import pytest

from talkies.core import Grid, MediaError
from talkies.media import decode_file, open_wav_writer
from talkies.media.decode_file import MAX_SECONDS

GRID = Grid(16, 16_000)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds that count up: sample j is j // 4."""
    path = tmp_path / "tone.wav"
    with open_wav_writer(path, 16_000) as file:
        file.writeframes((np.arange(32_000) // 4).astype("<i2").tobytes())
    return path


def test_sound_alone_is_read_sample_by_sample(tone: Path) -> None:
    media = decode_file(tone, "audio", GRID, 128)
    assert media.video_NPW is None
    assert media.audio_S is not None
    np.testing.assert_array_equal(media.audio_S, np.arange(32_000) // 4)


def test_a_span_cuts_at_its_samples(tone: Path) -> None:
    media = decode_file(tone, "audio", GRID, 128, (0.5, 1.25))
    assert media.audio_S is not None
    np.testing.assert_array_equal(media.audio_S, np.arange(8_000, 20_000) // 4)


def test_a_span_past_the_end_is_named(tone: Path) -> None:
    with pytest.raises(MediaError, match=r"tone\.wav ends before 3 s, where its clip starts") as fault:
        decode_file(tone, "audio", GRID, 128, (3.0, 4.0))
    assert fault.value.code == "empty_span"


def test_pictures_alone_are_those_of_both(films: Path) -> None:
    film = next(films.glob("*.mp4"))
    both, pictures = (decode_file(film, parts, GRID, 64, (0.0, 2.0)) for parts in ("both", "video"))  # type: ignore[arg-type]
    assert pictures.audio_S is None
    assert both.audio_S is not None
    assert both.video_NPW is not None
    assert pictures.video_NPW is not None
    assert len(both.audio_S) == 1000 * len(both.video_NPW) == 32_000
    np.testing.assert_array_equal(both.video_NPW, pictures.video_NPW)


def test_what_is_asked_for_must_be_there(tone: Path) -> None:
    with pytest.raises(MediaError, match=r"tone\.wav has no video track"):
        decode_file(tone, "video", GRID, 128)
    with pytest.raises(MediaError, match=r"tone\.wav has no video track"):
        decode_file(tone, "both", GRID, 128)


def test_pictures_without_sound_will_do_for_pictures(real_data: Path) -> None:
    mute = real_data / "awkward" / "torchcodec__testsrc2_odd_width_mpeg2.mp4"
    for parts in ("audio", "both"):
        with pytest.raises(MediaError, match="has no audio track"):
            decode_file(mute, parts, GRID, 64)  # type: ignore[arg-type]
    media = decode_file(mute, "video", GRID, 64)
    assert media.audio_S is None
    assert media.video_NPW is not None
    assert len(media.video_NPW) > 1


def test_a_film_is_no_labelled_clip(tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    with open_wav_writer(long, 8_000) as file:
        file.writeframes(bytes(2 * 8_000 * int(MAX_SECONDS + 60)))
    with pytest.raises(
        MediaError, match=r"long\.wav lasts 6 min, and a labelled clip at most 5 min; cut it into clips"
    ):
        decode_file(long, "audio", GRID, 128)
    assert decode_file(long, "audio", GRID, 128, (1.0, 2.0)).audio_S is not None


def test_a_file_with_many_damaged_packets_is_damaged(films: Path, tmp_path: Path) -> None:
    content = bytearray(next(films.glob("*.mp4")).read_bytes())
    begin = len(content) // 10
    content[begin : len(content) * 7 // 10] = bytes(len(content) * 7 // 10 - begin)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        decode_file(broken, "video", GRID, 64)
