"""The project's promise: the picture and the sound of a clip are the same moment.

A film flashes and beeps at ten known times, spread unevenly over a minute (at 25 and 30 fps over 24 s). It goes the
whole way: encoded as an ordinary film (B-frames, AAC, an edit list), ingested, and read back as clips. In each clip
the time of the first bright picture and that of the first loud sample must be less than half a frame of the library's
grid apart.

The times are frames of both the source and the grid, so that nothing but the road itself can move them.
"""

from fractions import Fraction

import numpy as np
import pytest

from talkies.clips import ClipConfig, ClipSource, read_file_clips
from talkies.core import Clip, ClipRequest, FilmId, Span
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.synth import render_sync_film

FPS, RATE_HZ = 16, 16_000
HALF_A_FRAME = 1 / 32  # of a second
SECONDS = {24: 60, 25: 24, 30: 24}  # by the source's frames a second
TIMES = {
    24: tuple(Fraction(n, 8) for n in (9, 50, 101, 147, 203, 262, 311, 366, 409, 467)),
    25: tuple(Fraction(n) for n in (1, 3, 5, 8, 10, 12, 15, 17, 19, 22)),
    30: tuple(Fraction(n, 2) for n in (1, 5, 10, 14, 19, 23, 28, 32, 37, 41)),
}
SHAPE = ClipConfig(frames=32, fps=FPS, audio_seconds=2.0).to_shape(FPS)


@pytest.fixture(scope="module", params=sorted(TIMES), ids="{}fps".format)
def flashes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Library]:
    """The source's frames a second, and a library of its film of flashes and beeps."""
    fps, root = request.param, tmp_path_factory.mktemp("sync")
    render_sync_film(root / "flashes.mp4", SECONDS[fps], TIMES[fps], fps)
    return fps, ingest([root / "flashes.mp4"], root / "lib", profile=Profile(short_side=32)).library


def window_around(moment: Fraction, place: int) -> Span:
    """Return a window of two seconds in which the moment is at another place each time."""
    start = max(0, int(moment * FPS) - 6 - 2 * place)
    return Span(start, start + SHAPE.window_frames)


def flash_seconds(clip: Clip) -> float:
    """Return when the first bright picture of a clip begins, in the film's time."""
    side = clip.video_TPW.shape[2]
    bright_T = clip.video_TPW[:, :side].mean(axis=(1, 2)) > 128
    assert bright_T.any()
    return SHAPE.select_video_frames(clip.request.window)[int(bright_T.argmax())] / FPS


def beep_seconds(clip: Clip) -> float:
    """Return when the first loud sample of a clip is heard, in the film's time."""
    loud_S = np.abs(clip.audio_S.astype(int)) > 1000  # the beep reaches 16 000; before it there is AAC's faint echo
    assert loud_S.any()
    return SHAPE.select_audio_span(clip.request.window).start_frame / FPS + int(loud_S.argmax()) / RATE_HZ


def offsets_of(clips: list[Clip]) -> list[float]:
    return [flash_seconds(clip) - beep_seconds(clip) for clip in clips]


def read_clips(library: Library, times: tuple[Fraction, ...]) -> list[Clip]:
    film_id, source = library.films()[0].id, ClipSource(library, SHAPE)
    requests = [ClipRequest(film_id, window_around(moment, place)) for place, moment in enumerate(times)]
    clips = source.read_all(requests)
    source.close()
    return clips


def test_flash_and_beep_are_less_than_half_a_frame_apart_at_all_ten_places(flashes: tuple[int, Library]) -> None:
    fps, library = flashes
    clips = read_clips(library, TIMES[fps])
    assert len(clips) == 10
    assert max(map(abs, offsets_of(clips))) < HALF_A_FRAME


def test_both_are_at_the_very_moment_they_were_given(flashes: tuple[int, Library]) -> None:
    fps, library = flashes
    for moment, clip in zip(TIMES[fps], read_clips(library, TIMES[fps]), strict=True):
        assert flash_seconds(clip) == moment
        assert abs(beep_seconds(clip) - moment) < 0.001


def test_what_people_play_is_in_sync_as_well(flashes: tuple[int, Library]) -> None:
    """The proxy's own sound goes another way than the training audio: through AAC and an edit list once more."""
    fps, library = flashes
    film_id = library.films()[0].id
    played = read_file_clips(library.proxy_path(film_id), FilmId("0" * 16), library.profile, SHAPE, stride_frames=1)
    wanted = {window_around(moment, place) for place, moment in enumerate(TIMES[fps])}
    clips = [clip for clip in played if clip.request.window in wanted]
    assert len(clips) == 10
    assert max(map(abs, offsets_of(clips))) < HALF_A_FRAME


def test_the_measure_itself_sees_sound_that_is_a_frame_late(flashes: tuple[int, Library]) -> None:
    fps, library = flashes
    clip = read_clips(library, TIMES[fps])[0]
    late = Clip(clip.request, clip.video_TPW, np.roll(clip.audio_S, RATE_HZ // FPS))
    assert offsets_of([late])[0] == pytest.approx(-1 / FPS, abs=0.001)
