"""`ClipSource`: the clips that are asked for, from few open files, or a sentence that names the file."""

import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from talkies.clips import ClipConfig, ClipSource, collate, film_windows, sequential_batches
from talkies.clips.source import MOST_OPEN_FILMS, middle_square
from talkies.core import Clip, ClipRequest, MediaError, Span
from talkies.library import Library
from talkies.media import SoundReader, VideoReader

SHAPE = ClipConfig(frames=8, fps=8, audio_seconds=1.5).on(16)  # 16 frames of picture amid 24 of sound


@pytest.fixture
def own_library(many_films: Library, tmp_path: Path) -> Library:
    """A copy of the library of many films that no other test has open, and that may be damaged."""
    shutil.copytree(many_films.root, tmp_path / "lib")
    return Library.open(tmp_path / "lib")


def open_files_under(root: Path) -> list[str]:
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(path) for path in links if path.is_relative_to(root)]


def mapped_files_under(root: Path) -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if str(root) in line}


def test_a_clip_is_the_middle_of_its_windows_pictures_and_its_sound(library: Library) -> None:
    film = library.films()[1]
    clip = ClipSource(library, SHAPE).read(ClipRequest(film.id, Span(50, 74)))
    with VideoReader(library.proxy_path(film.id), 16, 16) as reader:
        pictures = reader.read(range(192))
    sound = SoundReader(library.audio_path(film.id)).read(Span(0, 192), 1000)
    assert np.array_equal(clip.video_TPW, middle_square(pictures[54:70:2], 128))
    assert np.array_equal(clip.audio_S, sound[50_000:74_000])
    assert (clip.video_TPW.shape, clip.audio_S.shape) == ((8, 192, 128), (24_000,))


def test_clips_come_in_the_order_of_the_requests_each_as_if_read_alone(library: Library) -> None:
    windows = [(1, 100), (0, 7), (1, 3), (2, 160), (0, 150), (1, 100)]
    requests = [ClipRequest(library.films()[film].id, Span(start, start + 24)) for film, start in windows]
    together = ClipSource(library, SHAPE).read_all(requests)
    assert [clip.request for clip in together] == requests
    for request, clip in zip(requests, together, strict=True):
        alone = ClipSource(library, SHAPE).read(request)
        assert np.array_equal(clip.video_TPW, alone.video_TPW)
        assert np.array_equal(clip.audio_S, alone.audio_S)


def test_reading_goes_film_by_film_in_the_order_of_time_and_reads_nothing_twice(
    many_films: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[ClipRequest] = []
    real = ClipSource.read

    def read(self: ClipSource, request: ClipRequest) -> Clip:
        order.append(request)
        return real(self, request)

    monkeypatch.setattr(ClipSource, "read", read)
    first, second = (film.id for film in many_films.films()[:2])
    wanted = [
        ClipRequest(film_id, Span(s, s + 24)) for film_id, s in ((second, 9), (first, 30), (second, 9), (first, 2))
    ]
    ClipSource(many_films, SHAPE).read_all(wanted)
    assert order == [wanted[3], wanted[1], wanted[0]]


def test_collate_numbers_the_films_and_keeps_the_order(library: Library) -> None:
    numbers = {film.id: 10 + n for n, film in enumerate(library.films())}
    requests = [ClipRequest(library.films()[n].id, Span(s, s + 24)) for n, s in ((2, 0), (0, 8), (2, 60))]
    clips = ClipSource(library, SHAPE).read_all(requests)
    batch = collate(clips, numbers)
    assert batch.film_B.tolist() == [12, 10, 12]
    assert batch.requests == tuple(requests)
    assert np.array_equal(batch.video_BTPW.numpy(), np.stack([clip.video_TPW for clip in clips]))
    assert np.array_equal(batch.audio_BS.numpy(), np.stack([clip.audio_S for clip in clips]))


def test_sequential_batches_hold_every_window_once_in_order(library: Library) -> None:
    film = library.films()[0]
    requests = film_windows(film.id, film.frames, SHAPE, 24)
    batches = list(sequential_batches(ClipSource(library, SHAPE), requests, {film.id: 0}, batch_clips=3))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert [request for batch in batches for request in batch.requests] == requests


def test_few_films_are_open_however_many_are_read(own_library: Library) -> None:
    source, root = ClipSource(own_library, SHAPE), own_library.root
    assert open_files_under(root) == []
    most_proxies = 0
    for start in (0, 20, 40):
        for film in own_library.films():
            source.read(ClipRequest(film.id, Span(start, start + 24)))
            names = [Path(path).name for path in open_files_under(root)]
            most_proxies = max(most_proxies, names.count("proxy.mp4"))
            assert len(names) <= 2 * MOST_OPEN_FILMS  # a proxy and its sound
            assert len(mapped_files_under(root)) <= MOST_OPEN_FILMS
    assert most_proxies == MOST_OPEN_FILMS < len(own_library.films())
    source.close()
    assert open_files_under(root) == []


def test_a_closed_source_opens_again_when_it_is_asked(many_films: Library) -> None:
    source, request = ClipSource(many_films, SHAPE), ClipRequest(many_films.films()[0].id, Span(0, 24))
    first = source.read(request)
    source.close()
    assert np.array_equal(source.read(request).video_TPW, first.video_TPW)


def test_before_the_first_read_a_source_can_be_handed_to_a_worker(many_films: Library) -> None:
    request = ClipRequest(many_films.films()[3].id, Span(5, 29))
    source = ClipSource(many_films, SHAPE)
    copy = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copy.read(request).audio_S, source.read(request).audio_S)


@pytest.mark.parametrize("kind", ["proxy", "audio"])
def test_a_removed_file_is_named(own_library: Library, kind: str) -> None:
    film_id = own_library.films()[0].id
    path = own_library.proxy_path(film_id) if kind == "proxy" else own_library.audio_path(film_id)
    path.unlink()
    what = "a proxy" if kind == "proxy" else "training audio"
    with pytest.raises(MediaError, match=f"^{path} cannot be opened as {what}; ingest its film again$"):
        ClipSource(own_library, SHAPE).read(ClipRequest(film_id, Span(0, 24)))


def test_a_truncated_proxy_is_named(own_library: Library) -> None:
    film_id = own_library.films()[0].id
    path = own_library.proxy_path(film_id)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sentence = rf"^{path} (ends before frame \d+|is damaged \(.+\)|cannot be read at frame \d+); ingest its film again"
    with pytest.raises(MediaError, match=sentence):
        ClipSource(own_library, SHAPE).read(ClipRequest(film_id, Span(40, 64)))


def test_truncated_training_audio_is_named(own_library: Library) -> None:
    film_id = own_library.films()[0].id
    path = own_library.audio_path(film_id)
    path.write_bytes(path.read_bytes()[:-10])
    sentence = f"^{path} is not the training audio that was written; ingest its film again$"
    with pytest.raises(MediaError, match=sentence):
        ClipSource(own_library, SHAPE).read(ClipRequest(film_id, Span(0, 24)))


def test_a_window_past_the_end_of_the_film_is_refused(many_films: Library) -> None:
    film_id = many_films.films()[0].id
    path = re.escape(str(many_films.proxy_path(film_id)))
    with pytest.raises(MediaError, match=f"^{path} ends before frame 64; ingest its film again to repair it$"):
        ClipSource(many_films, SHAPE).read(ClipRequest(film_id, Span(48, 72)))
