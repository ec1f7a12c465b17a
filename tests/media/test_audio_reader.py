"""`AudioReader`: every sample as it was written, or an error."""

import os
import wave
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import MediaError, Span
from talkies.media import AudioReader, open_wav_writer

FRAMES, SAMPLES_PER_FRAME = 40, 1000
WRITTEN_S = np.random.default_rng(0).integers(-32_768, 32_768, FRAMES * SAMPLES_PER_FRAME).astype(np.int16)
NOT_WHAT_WAS_WRITTEN = "is not the training audio that ingest wrote; ingest its film again$"


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Training audio of forty frames, written in runs of odd lengths."""
    path = tmp_path / "audio.wav"
    with open_wav_writer(path, 16_000) as file:
        for part in np.array_split(WRITTEN_S, 7):
            file.writeframes(part.astype("<i2").tobytes())
    return path


def read(path: Path, start_frame: int, end_frame: int) -> npt.NDArray[np.int16]:
    return AudioReader(path).read(Span(start_frame, end_frame), SAMPLES_PER_FRAME)


def test_the_whole_file_is_sample_for_sample_what_was_written(wav: Path) -> None:
    assert len(AudioReader(wav)) == len(WRITTEN_S)
    whole = read(wav, 0, FRAMES)
    assert whole.dtype == np.int16
    assert np.array_equal(whole, WRITTEN_S)


def test_any_span_is_its_own_samples(wav: Path) -> None:
    reader, random = AudioReader(wav), Random(1)
    for _ in range(200):
        start, end = sorted(random.sample(range(FRAMES + 1), 2))
        assert np.array_equal(reader.read(Span(start, end), 1000), WRITTEN_S[start * 1000 : end * 1000])
    assert np.array_equal(reader.read(Span(3, 5), 640), WRITTEN_S[1920:3200])


def test_what_was_read_may_be_changed_without_changing_the_file(wav: Path) -> None:
    reader = AudioReader(wav)
    reader.read(Span(0, 1), SAMPLES_PER_FRAME)[:] = 0
    assert np.array_equal(reader.read(Span(0, 1), SAMPLES_PER_FRAME), WRITTEN_S[:1000])


def test_past_the_end_there_is_a_sentence(wav: Path) -> None:
    sentence = f"^{wav} ends before sample 41000; ingest its film again$"
    with pytest.raises(MediaError, match=sentence) as caught:
        read(wav, 39, 41)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("kept", [0, 20, 43])
def test_without_a_whole_header_it_cannot_be_opened(wav: Path, kept: int) -> None:
    wav.write_bytes(wav.read_bytes()[:kept])
    with pytest.raises(
        MediaError, match=f"^{wav} cannot be opened as training audio; ingest its film again$"
    ) as caught:
        AudioReader(wav)
    assert caught.value.code == "unreadable"


def test_another_files_header_cannot_be_opened(wav: Path) -> None:
    wav.write_bytes(b"OggS" + wav.read_bytes()[4:])
    with pytest.raises(MediaError, match=f"^{wav} cannot be opened as training audio; ingest its film again$"):
        AudioReader(wav)


def test_a_missing_file_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    sentence = rf"^{path} cannot be opened as training audio \(no such file or directory\); ingest its film again$"
    with pytest.raises(MediaError, match=sentence):
        AudioReader(path)


def test_samples_are_read_into_the_room_for_them(wav: Path) -> None:
    space = np.zeros(5000, np.int16)
    with AudioReader(wav) as reader:
        reader.read_into(Span(7, 10), space[1000:4000])
    assert np.array_equal(space[1000:4000], WRITTEN_S[7000:10_000])
    assert not space[:1000].any()
    assert not space[4000:].any()


def test_audio_that_is_cut_while_it_is_open_is_told(wav: Path) -> None:
    with AudioReader(wav) as reader:
        os.truncate(wav, 60_044)
        assert np.array_equal(reader.read(Span(20, 30), 1000), WRITTEN_S[20_000:30_000])
        with pytest.raises(MediaError, match=f"^{wav} ends before sample 31000; ingest its film again$"):
            reader.read(Span(29, 31), 1000)


def test_a_closed_reader_reads_no_other_file(wav: Path) -> None:
    reader = AudioReader(wav)
    reader.close()
    with pytest.raises(ValueError, match="closed file"):
        reader.read(Span(0, 1), 1000)


@pytest.mark.parametrize("cut_bytes", [1, 2, 40_000])
def test_a_truncated_file_is_not_what_was_written(wav: Path, cut_bytes: int) -> None:
    wav.write_bytes(wav.read_bytes()[:-cut_bytes])
    with pytest.raises(MediaError, match=f"^{wav} {NOT_WHAT_WAS_WRITTEN}") as caught:
        AudioReader(wav)
    assert caught.value.code == "damaged"


def test_a_file_that_has_grown_is_not_what_was_written(wav: Path) -> None:
    wav.write_bytes(wav.read_bytes() + b"\0\0")
    with pytest.raises(MediaError, match=f"^{wav} {NOT_WHAT_WAS_WRITTEN}"):
        AudioReader(wav)


def test_a_damaged_length_is_not_what_was_written(wav: Path) -> None:
    content = bytearray(wav.read_bytes())
    content[40:44] = (1000).to_bytes(4, "little")  # the length of the samples, as the header says it
    wav.write_bytes(bytes(content))
    with pytest.raises(MediaError, match=f"^{wav} {NOT_WHAT_WAS_WRITTEN}"):
        AudioReader(wav)


@pytest.mark.parametrize(("channels", "sample_bytes"), [(2, 2), (1, 1), (1, 4)])
def test_only_sixteen_bit_mono_is_training_audio(tmp_path: Path, channels: int, sample_bytes: int) -> None:
    path = tmp_path / "audio.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(sample_bytes)
        file.setframerate(16_000)
        file.writeframes(bytes(8000))
    with pytest.raises(MediaError, match=f"^{path} {NOT_WHAT_WAS_WRITTEN}"):
        AudioReader(path)
