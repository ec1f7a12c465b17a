"""Comparing clips with their source films: right clips pass, wrong pictures and late sound are found."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from talkies.clips import ClipConfig, ClipSource
from talkies.clips.original_comparison import Originals, compute_audio_lag, compute_frame_offset
from talkies.core import ClipRequest, MediaError, Span
from talkies.library import Library
from talkies.media import FilmWriter, X264Settings

RATE_HZ = 16_000
SHAPE = ClipConfig(frames=16, fps=16, audio_seconds=2.0).to_shape(16)
random = np.random.default_rng(3)
FILM = random.integers(0, 256, (40, 48, 32)).astype(np.uint8)  # pictures that all differ
SOUND = (8000 * random.standard_normal(3 * RATE_HZ)).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_pictures_that_are_a_frame_off_are_told(off: int) -> None:
    around, place = FILM[9:27], list(range(1, 17))
    assert compute_frame_offset(FILM[10 + off : 26 + off], around, place) == off


def test_of_a_still_picture_nothing_is_told() -> None:
    still = np.repeat(FILM[:1], 18, axis=0)
    assert compute_frame_offset(still[:16], still, list(range(1, 17))) is None


def test_at_the_films_beginning_there_is_no_frame_before() -> None:
    assert compute_frame_offset(FILM[0:8], FILM[0:9], list(range(8))) == 0


@pytest.mark.parametrize("late", [-3000, -37, 0, 1, 500, 3900])
def test_the_lag_of_a_sound_is_found_to_the_sample(late: int) -> None:
    heard = SOUND[8000 - late : 8000 - late + RATE_HZ]
    assert compute_audio_lag(heard, SOUND[8000 : 8000 + RATE_HZ], RATE_HZ) == late / RATE_HZ


def test_of_silence_and_of_another_sound_nothing_is_told() -> None:
    silence, other = np.zeros(RATE_HZ, np.int16), random.permutation(SOUND)[:RATE_HZ]
    assert compute_audio_lag(silence, SOUND[:RATE_HZ], RATE_HZ) is None
    assert compute_audio_lag(SOUND[:RATE_HZ], silence, RATE_HZ) is None
    assert compute_audio_lag(SOUND[:RATE_HZ], other, RATE_HZ) is None


def requests_of(library: Library, starts: tuple[int, ...] = (0, 5, 37, 100)) -> list[ClipRequest]:
    return [ClipRequest(film.id, Span(at, at + 32)) for film in library.films() for at in starts]


def test_clips_of_a_library_are_what_the_originals_show(library: Library) -> None:
    wanted = requests_of(library)
    found = Originals(library, ClipSource(library, SHAPE)).compare(wanted)
    assert [fidelity.request for fidelity in found] == wanted
    assert {fidelity.frames_off for fidelity in found} <= {0, None}
    lags = [fidelity.lag_seconds for fidelity in found if fidelity.lag_seconds is not None]
    assert len(lags) > len(found) / 2
    assert max(map(abs, lags)) <= 0.001


def test_a_proxy_that_shows_its_film_a_frame_late_is_found_out(library: Library, tmp_path: Path) -> None:
    wrong = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    film = wrong.films()[0]
    with ClipSource(library, SHAPE)._open_film(film.id).video as reader:
        pictures, size = reader.read(range(film.frames)), (reader.width, reader.height)
    path = wrong.proxy_path(film.id)
    with FilmWriter(path, size, 16, RATE_HZ, X264Settings(gop=16, crf=15)) as writer:
        for number in range(film.frames):
            writer.write_frame(frame_of(pictures[max(0, number - 1)]))
            writer.write_audio(np.zeros(1000, np.int16))
    found = Originals(wrong, ClipSource(wrong, SHAPE)).compare(requests_of(wrong, (20, 60, 90)))
    told = [f.frames_off for f in found if f.request.film_id == film.id and f.frames_off is not None]
    assert told
    assert set(told) == {-1}


def frame_of(yuv_PW: np.ndarray) -> object:
    import av

    return av.VideoFrame.from_ndarray(yuv_PW, format="yuv420p")


def test_a_clip_from_the_original_has_the_size_of_one_from_the_library(library: Library) -> None:
    source = ClipSource(library, SHAPE)
    originals, request = Originals(library, source), requests_of(library)[1]
    with originals.open(request.film_id) as original:
        clip = originals.read_clip(original, request)
    mine = source.read(request)
    assert (clip.video_TPW.shape, clip.audio_S.shape) == (mine.video_TPW.shape, mine.audio_S.shape)
    assert np.abs(clip.video_TPW.astype(int) - mine.video_TPW).mean() < 4  # but for the proxy's compression


@pytest.mark.parametrize("how", ["gone", "another"])
def test_an_original_that_is_gone_or_another_file_is_not_compared(how: str, library: Library, tmp_path: Path) -> None:
    moved = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    film = moved.films()[0]
    source = tmp_path / "film.mp4"
    record = moved.record_of(film.id)
    assert record is not None
    moved.replace_record(record.model_copy(update={"source": str(source)}))
    if how == "another":
        source.write_bytes(b"not what was ingested")
    originals = Originals(moved, ClipSource(moved, SHAPE))
    with pytest.raises(MediaError, match=r"film\.mp4 is missing or has changed since it was ingested$"):
        originals.open(film.id)
    assert {found.request.film_id for found in originals.compare(requests_of(moved))} == {
        other.id for other in moved.films()[1:]
    }
