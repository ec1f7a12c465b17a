"""`encode_file`: from a media file to embeddings in three lines."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import talkies
from talkies.clips import ClipSource, collate, list_windows
from talkies.core import MediaError, UsageError
from talkies.library import Library
from talkies.media import decode_file, open_wav_writer
from talkies.runs import ClipEncoder, load_encoder


@pytest.fixture(scope="module")
def encoder(run: Path) -> ClipEncoder:
    """The run's encoders."""
    return load_encoder(run)


def write_sound(path: Path, samples_S: npt.NDArray[np.int16]) -> None:
    with open_wav_writer(path, 16_000) as file:
        file.writeframes(samples_S.tobytes())


def test_a_film_becomes_rows_of_length_one_clip_by_clip(encoder: ClipEncoder, films: Path) -> None:
    encoded = encoder.encode_file(films / "film-001.mp4")
    assert encoded.start_B.tolist() == [float(second) for second in range(12)]
    assert encoded.end_B.tolist() == [second + 1.0 for second in range(12)]
    assert repr(encoded) == "EncodedFile(12 clips, video_BD=[12, 128], audio_BD=[12, 128])"
    for rows_BD in (encoded.video_BD, encoded.audio_BD):
        assert rows_BD is not None
        np.testing.assert_allclose(np.linalg.norm(rows_BD, axis=1), 1, atol=1e-5)


def test_a_file_is_encoded_much_as_the_library_has_it(encoder: ClipEncoder, films: Path, library: Library) -> None:
    film = library.find("film-001.mp4")
    requests = list_windows(film.id, film.frames, encoder.shape, 8)
    clips = ClipSource(library, encoder.shape).read_all(requests)
    own = encoder.encode(collate(clips)).embeddings
    encoded = encoder.encode_file(str(films / "film-001.mp4"), stride_seconds=0.5)
    assert len(encoded) == len(requests) == 23
    for got_BD, wanted_BD in ((encoded.video_BD, own.video_BD.numpy()), (encoded.audio_BD, own.audio_BD.numpy())):
        assert got_BD is not None
        assert (got_BD * wanted_BD).sum(1).min() > 0.99  # the library's pictures were coded once more


def test_a_file_of_one_side_has_rows_of_that_side(encoder: ClipEncoder, films: Path, tmp_path: Path) -> None:
    film, grid = films / "film-001.mp4", encoder.profile.grid
    sound = decode_file(film, "audio", grid, encoder.profile.short_side).audio_S
    assert sound is not None
    write_sound(tmp_path / "sound.wav", sound)
    whole, alone = encoder.encode_file(film), encoder.encode_file(tmp_path / "sound.wav")
    assert alone.video_BD is None
    assert whole.audio_BD is not None
    assert alone.audio_BD is not None
    assert alone.start_B.tolist() == whole.start_B.tolist()
    assert (alone.audio_BD * whole.audio_BD).sum(1).min() > 0.999


def test_a_file_that_cannot_be_encoded_is_told(encoder: ClipEncoder, films: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear film, I am a text.")
    with pytest.raises(MediaError, match=r"^letter\.mp4 is not media that FFmpeg can read"):
        encoder.encode_file(tmp_path / "letter.mp4")
    write_sound(tmp_path / "short.wav", np.zeros(8_000, np.int16))
    with pytest.raises(MediaError, match=r"^short\.wav is shorter than a clip \(1 s\); name a longer file$"):
        encoder.encode_file(tmp_path / "short.wav")
    with pytest.raises(UsageError, match=r"^the stride must be at least one frame \(1/16 s\), got 0\.01 s$"):
        encoder.encode_file(films / "film-001.mp4", stride_seconds=0.01)


def test_the_package_loads_nothing_heavy_until_an_encoder_is_wanted() -> None:
    words = "import sys, talkies; print('load_encoder' in talkies.__all__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"
    assert talkies.load_encoder is load_encoder
    with pytest.raises(AttributeError, match=r"module 'talkies' has no attribute 'load_decoder'"):
        talkies.load_decoder  # type: ignore[attr-defined]  # noqa: B018
