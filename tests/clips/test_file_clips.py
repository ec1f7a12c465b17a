"""`read_file_clips`: the same clips as from a library, up to the compression of its proxies."""

import json
from pathlib import Path

import numpy as np
import pytest

from talkies.clips import ClipConfig, ClipSource, list_windows, read_file_clips
from talkies.core import Clip, ClipShape, FilmId, MediaError
from talkies.library import Library, Profile
from talkies.media import FilmResampler, ResampledAudio

SHAPE = ClipConfig(frames=16, fps=16, audio_seconds=2.0).to_shape(16)
LONG_PICTURE = ClipConfig(frames=16, fps=8, audio_seconds=0.5).to_shape(16)
ANY_FILM = FilmId("0" * 16)


def both_ways(library: Library, name: str, shape: ClipShape, stride: int) -> tuple[list[Clip], list[Clip]]:
    """Return the clips of a film's source file, and those of its library for the same windows."""
    film = library.find(name)
    of_file = list(read_file_clips(Path(film.source), film.id, library.profile, shape, stride))
    windows = list_windows(film.id, film.frames, shape, stride)
    assert [clip.request for clip in of_file] == windows
    return of_file, ClipSource(library, shape).read_all(windows)


@pytest.mark.parametrize("name", ["film-000", "film-001"])
@pytest.mark.parametrize(("shape", "stride"), [(SHAPE, 16), (SHAPE, 32), (LONG_PICTURE, 5)])
def test_they_are_those_of_the_library_up_to_compression(
    library: Library, name: str, shape: ClipShape, stride: int
) -> None:
    of_file, of_library = both_ways(library, name, shape, stride)
    assert len(of_file) >= 5
    for file_clip, library_clip in zip(of_file, of_library, strict=True):
        assert np.array_equal(file_clip.audio_S, library_clip.audio_S)
        assert np.abs(file_clip.video_TPW.astype(int) - library_clip.video_TPW).mean() < 3


def test_the_pictures_are_of_the_same_moment_and_not_of_the_next(library: Library) -> None:
    """A frame aside, the pictures differ by more than compression does."""
    of_file, of_library = both_ways(library, "film-000", SHAPE, 16)
    file_video, library_video = (
        np.concatenate([clip.video_TPW[:, :128].astype(int) for clip in clips]) for clips in (of_file, of_library)
    )
    same = np.abs(file_video - library_video).mean()
    aside = [np.abs(file_video[1:] - library_video[:-1]).mean(), np.abs(file_video[:-1] - library_video[1:]).mean()]
    assert min(aside) > 1.3 * same


def test_a_file_shorter_than_a_clip_gives_none(films: Path) -> None:
    shape = ClipConfig(frames=16, fps=1, audio_seconds=2.0).to_shape(16)
    assert list(read_file_clips(films / "film-000.mp4", ANY_FILM, Profile(), shape, 16)) == []


def test_clips_come_while_the_file_is_read_and_not_at_its_end(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    real = FilmResampler.__iter__

    def counting(self: FilmResampler):
        nonlocal read
        for part in real(self):
            read += 1
            yield part

    monkeypatch.setattr(FilmResampler, "__iter__", counting)
    clips = read_file_clips(films / "film-000.mp4", ANY_FILM, Profile(), SHAPE, 16)
    next(clips)
    first = read
    rest = list(clips)
    assert len(rest) == 10
    assert first < read / 3


def test_a_papers_name_is_in_the_sentence(tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text(json.dumps({"this": "is no film"}))
    with pytest.raises(MediaError, match=r"^letter\.mp4 is not media that FFmpeg can read"):
        next(read_file_clips(path, ANY_FILM, Profile(), SHAPE, 16))


@pytest.mark.parametrize("stride", [5, 24])
def test_sound_that_comes_late_stays_at_its_pictures(
    library: Library, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    """All sound comes after all pictures, as behind a gap; the clips are the same, also where strides skip frames."""
    film, shape = library.find("film-000"), LONG_PICTURE
    real = FilmResampler.__iter__

    def pictures_first(self: FilmResampler):
        parts = list(real(self))
        yield from sorted(parts, key=lambda part: isinstance(part, ResampledAudio))

    def clips() -> list[Clip]:
        return list(read_file_clips(Path(film.source), film.id, library.profile, shape, stride))

    in_step = clips()
    monkeypatch.setattr(FilmResampler, "__iter__", pictures_first)
    late = clips()
    assert [clip.request for clip in late] == [clip.request for clip in in_step]
    assert all(np.array_equal(a.audio_S, b.audio_S) for a, b in zip(late, in_step, strict=True))
    assert all(np.array_equal(a.video_TPW, b.video_TPW) for a, b in zip(late, in_step, strict=True))
