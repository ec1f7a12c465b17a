"""`ClipSource` and `read_films`: the requested clips from few open files, or an error that names the file."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from talkies.clips import (
    ClipConfig,
    ClipSource,
    choose_workers,
    collate,
    film_pass,
    list_windows,
    read_batches,
    read_films,
)
from talkies.clips.source import MOST_OPEN_FILMS
from talkies.core import ClipBatch, ClipRequest, MediaError, Span, crop_middle_square
from talkies.library import Library
from talkies.media import AudioReader, VideoReader

pytestmark = pytest.mark.slow

SHAPE = ClipConfig(frames=8, fps=8, audio_seconds=1.5).to_shape(16)  # 16 frames of picture amid 24 of sound


@pytest.fixture
def own_library(many_films: Library, tmp_path: Path) -> Library:
    """A copy of the library of many films that no other test has open, and that may be damaged."""
    shutil.copytree(many_films.root, tmp_path / "lib")
    return Library.open(tmp_path / "lib")


def open_files_under(root: Path) -> list[str]:
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(path) for path in links if path.is_relative_to(root)]


def command_in(sentence: str) -> str:
    """Return the command that a sentence ends with."""
    return sentence.partition("; repair it with: ")[2]


def run(command: str) -> None:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where the command was installed
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": beside})
    assert done.returncode == 0, done.stderr


def test_a_clip_is_the_middle_of_its_windows_pictures_and_its_sound(library: Library) -> None:
    film = library.films()[1]
    clip = ClipSource(library, SHAPE).read(ClipRequest(film.id, Span(50, 74)))
    with VideoReader(library.proxy_path(film.id), 16) as reader:
        pictures = reader.read(range(192))
    sound = AudioReader(library.audio_path(film.id)).read(Span(0, 192), 1000)
    assert np.array_equal(clip.video_TPW, crop_middle_square(pictures[54:70:2]))
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
    real = ClipSource._read_moment

    def read_moment(self: ClipSource, requests: list[ClipRequest], *rest: Any) -> None:
        order.extend(requests)
        real(self, requests, *rest)

    monkeypatch.setattr(ClipSource, "_read_moment", read_moment)
    first, second = (film.id for film in many_films.films()[:2])
    wanted = [
        ClipRequest(film_id, Span(s, s + 24)) for film_id, s in ((second, 9), (first, 30), (second, 9), (first, 2))
    ]
    ClipSource(many_films, SHAPE).read_all(wanted)
    assert order == [wanted[3], wanted[1], wanted[0]]
    ClipSource(many_films, SHAPE).read_batch(wanted)
    assert order[3:] == order[:3]


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_its_clips_read_alone_and_collated(library: Library, seed: int) -> None:
    random, ids = Random(seed), [film.id for film in library.films()]
    starts = [random.randrange(192 - 24) for _ in range(12)]
    requests = [ClipRequest(random.choice(ids), Span(start, start + 24)) for start in starts]
    requests += [ClipRequest(ids[0], Span(40, 64), -7), requests[3], ClipRequest(ids[0], Span(40, 64), 90)]
    random.shuffle(requests)
    batch = ClipSource(library, SHAPE).read_batch(requests)
    alone = collate([ClipSource(library, SHAPE).read(request) for request in requests])
    assert batch.requests == alone.requests == tuple(requests)
    for part in ("video_BTPW", "audio_BS", "film_B"):
        assert torch.equal(getattr(batch, part), getattr(alone, part)), part


def test_a_batch_is_its_readers_to_change(library: Library) -> None:
    film_id = library.films()[0].id
    source, request = ClipSource(library, SHAPE), ClipRequest(film_id, Span(0, 24))
    first, second = source.read_batch([request, request]), source.read_batch([request])
    first.video_BTPW[0] = 0
    first.audio_BS[0] = 0
    assert torch.equal(first.video_BTPW[1], second.video_BTPW[0])
    assert torch.equal(first.audio_BS[1], second.audio_BS[0])


def test_the_sound_of_a_clip_may_be_of_another_moment(library: Library) -> None:
    film_id, source = library.films()[1].id, ClipSource(library, SHAPE)
    apart = source.read(ClipRequest(film_id, Span(50, 74), 31))
    assert np.array_equal(apart.video_TPW, source.read(ClipRequest(film_id, Span(50, 74))).video_TPW)
    assert np.array_equal(apart.audio_S, source.read(ClipRequest(film_id, Span(81, 105))).audio_S)


def test_collate_numbers_the_films_as_they_come_and_keeps_the_order(library: Library) -> None:
    requests = [ClipRequest(library.films()[n].id, Span(s, s + 24)) for n, s in ((2, 0), (0, 8), (2, 60))]
    clips = ClipSource(library, SHAPE).read_all(requests)
    batch = collate(clips)
    assert batch.film_B.tolist() == [0, 1, 0]
    assert batch.requests == tuple(requests)
    assert np.array_equal(batch.video_BTPW.numpy(), np.stack([clip.video_TPW for clip in clips]))
    assert np.array_equal(batch.audio_BS.numpy(), np.stack([clip.audio_S for clip in clips]))


def test_batches_hold_every_window_once_in_order(library: Library) -> None:
    film = library.films()[0]
    requests = list_windows(film.id, film.frames, SHAPE, 24)
    batches = list(read_batches(library, SHAPE, requests, batch_clips=3))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert [request for batch in batches for request in batch.requests] == requests


def test_a_worker_reads_the_same_batches_each_of_one_film(library: Library) -> None:
    films, shape = library.films(), SHAPE
    requests = [request for film in films for request in list_windows(film.id, film.frames, shape, 24)]
    here, there = (list(read_batches(library, shape, requests, batch_clips=5, workers=workers)) for workers in (0, 1))
    assert [request for batch in there for request in batch.requests] == requests
    assert all(len(set(batch.film_B.tolist())) == 1 and len(batch) <= 5 for batch in there)
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.video_BTPW, other.video_BTPW)
        assert torch.equal(one.audio_BS, other.audio_BS)
        assert torch.equal(one.film_B, other.film_B)


@pytest.mark.parametrize(
    ("cores", "clips", "device", "workers"),
    [
        (2, 2_000, "cpu", 1),
        (16, 2_000, "cpu", 5),
        (16, 1_999, "cpu", 0),
        (1, 2_000, "cuda", 1),
        (2, 2_000, "cuda", 1),
        (16, 2_000, "cuda", 15),
        (128, 2_000, "cuda", 32),
        (16, 1_999, "cuda", 0),
    ],
)
def test_the_cores_only_read_where_a_gpu_encodes(
    cores: int, clips: int, device: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_pass, "count_cores", lambda: cores)
    assert choose_workers(clips, device) == workers


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_films_are_read_by_as_many_processes_as_their_device_leaves_cores_for(
    device: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def read(dataset: Sequence[ClipBatch], workers: int) -> Iterator[ClipBatch]:
        asked.append(workers)
        return (dataset[number] for number in range(len(dataset)))

    monkeypatch.setattr(film_pass, "read_by_workers", read)
    monkeypatch.setattr(film_pass, "count_cores", lambda: 8)
    monkeypatch.setattr(film_pass, "_CLIPS_WORTH_A_WORKER", 1)
    film = library.films()[0]
    requests = {film: list_windows(film.id, film.frames, SHAPE, 24)[:2]}
    (found,) = (
        (entry, len(list(batches))) for entry, batches in read_films(library, SHAPE, requests, device_type=device)
    )
    assert found == (film, 1)
    assert asked == [2 if device == "cpu" else 7]


def test_films_come_with_their_own_batches_even_if_some_are_skipped(library: Library) -> None:
    films, told = library.films(), []
    requests = {film: list_windows(film.id, film.frames, SHAPE, 24) for film in films}
    requests[films[1]] = []
    read = read_films(library, SHAPE, requests, batch_clips=3, on_film=lambda *film: told.append(film))
    sizes = {film: [len(batch) for batch in batches] for film, batches in read if film is not films[0]}
    assert sizes == {film: [] if film is films[1] else [3, 3, 2] for film in films[1:]}
    assert told == [(film.name, len(films)) for film in films]


def test_a_film_that_cannot_be_read_costs_those_before_it_nothing(own_library: Library) -> None:
    first, second = own_library.usable_films()[:2]
    own_library.proxy_path(second.id).write_bytes(b"")
    requests = {film: list_windows(film.id, film.frames, SHAPE, 24) for film in (first, second)}
    films = read_films(own_library, SHAPE, requests, batch_clips=3)
    film, batches = next(films)
    assert film is first
    assert sum(map(len, batches)) == len(requests[first])
    with pytest.raises(MediaError, match=second.name):
        list(next(films)[1])


def test_few_films_are_open_however_many_are_read(own_library: Library) -> None:
    source, root = ClipSource(own_library, SHAPE), own_library.root
    requests = [ClipRequest(film.id, Span(start, start + 24)) for start in (0, 20, 40) for film in own_library.films()]
    assert open_files_under(root) == []
    most_proxies = 0
    for request in requests:
        source.read(request)
        names = [Path(path).name for path in open_files_under(root)]
        assert names.count("proxy.mp4") == names.count("audio.wav") == len(names) / 2
        most_proxies = max(most_proxies, names.count("proxy.mp4"))
    assert most_proxies == MOST_OPEN_FILMS < len(own_library.films())
    source.read_batch(requests)
    assert len(open_files_under(root)) == 2 * MOST_OPEN_FILMS
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


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    """Damage the latter half of a file without a change of its size."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


@pytest.mark.parametrize(
    ("name", "harm", "fault", "code"),
    [
        ("proxy.mp4", Path.unlink, r"cannot be opened as a proxy \(no such file or directory\)", "unreadable"),
        ("proxy.mp4", cut, r"ends before \d\.\d+ s", "truncated"),
        ("proxy.mp4", overwrite, r"is damaged at \d\.\d+ s \(invalid data found when processing input\)", "damaged"),
        ("audio.wav", Path.unlink, r"cannot be opened as training audio \(no such file or directory\)", "unreadable"),
        ("audio.wav", cut, "is not the training audio that ingest wrote", "damaged"),
    ],
)
def test_the_command_in_the_sentence_of_a_damaged_film_repairs_it(
    own_library: Library, name: str, harm: Callable[[Path], None], fault: str, code: str
) -> None:
    film = own_library.find("film-03.mp4")
    request, path = ClipRequest(film.id, Span(40, 64)), own_library.film_file(film.id, name)
    whole = ClipSource(own_library, SHAPE).read(request)
    harm(path)
    remove = f"rm {own_library.proxy_path(film.id)} && " if harm is overwrite else ""
    command = f"{remove}talkies ingest {film.source} --library {own_library.root}"
    source = ClipSource(own_library, SHAPE)
    with pytest.raises(MediaError, match=rf"^film-03\.mp4: {path} {fault}; repair it with: {command}$") as caught:
        source.read_batch([request])
    assert caught.value.code == code
    run(command_in(str(caught.value)))
    for repaired in (source, ClipSource(own_library, SHAPE)):
        clip = repaired.read(request)
        assert np.array_equal(clip.video_TPW, whole.video_TPW)
        assert np.array_equal(clip.audio_S, whole.audio_S)


def test_after_an_error_the_same_source_reads_the_repaired_film(own_library: Library) -> None:
    film = own_library.find("film-05.mp4")
    source, request = ClipSource(own_library, SHAPE), ClipRequest(film.id, Span(40, 64))
    whole = source.read(request)
    cut(own_library.proxy_path(film.id))  # under the open reader
    with pytest.raises(MediaError, match=r"^film-05\.mp4: .*proxy\.mp4 ends before") as caught:
        source.read(request)
    run(command_in(str(caught.value)))
    assert np.array_equal(source.read(request).video_TPW, whole.video_TPW)


def test_a_film_that_is_replaced_while_it_is_open_is_read_on(own_library: Library) -> None:
    film = own_library.find("film-06.mp4")
    source, request = ClipSource(own_library, SHAPE), ClipRequest(film.id, Span(40, 64))
    whole = source.read(request)
    folder = own_library.film_folder(film.id)
    folder.rename(folder.with_name(".gone"))
    shutil.copytree(folder.with_name(".gone"), folder)
    shutil.rmtree(folder.with_name(".gone"))
    assert np.array_equal(source.read(request).video_TPW, whole.video_TPW)


def test_other_films_are_read_on_after_an_error(own_library: Library) -> None:
    bad, good = (film.id for film in own_library.films()[:2])
    source, request = ClipSource(own_library, SHAPE), ClipRequest(good, Span(3, 27))
    first = source.read(request)
    own_library.proxy_path(bad).unlink()
    for _ in range(3):
        with pytest.raises(MediaError, match="cannot be opened as a proxy"):
            source.read(ClipRequest(bad, Span(0, 24)))
        assert np.array_equal(source.read(request).video_TPW, first.video_TPW)
    source.close()
    assert open_files_under(own_library.root) == []


def test_a_film_without_a_record_is_named_by_its_id(own_library: Library) -> None:
    film_id = own_library.films()[0].id
    for harm in (cut, Path.unlink, lambda path: shutil.rmtree(path.parent)):
        harm(own_library.film_folder(film_id) / "film.json")
        own_library.proxy_path(film_id).unlink(missing_ok=True)
        sentence = f"^film {film_id}: .* cannot be opened .*; ingest its source again into {own_library.root}$"
        with pytest.raises(MediaError, match=sentence):
            ClipSource(own_library, SHAPE).read(ClipRequest(film_id, Span(0, 24)))


@pytest.mark.parametrize("request_", [(Span(48, 72), 0), (Span(30, 54), 18)])
def test_a_clip_past_the_end_of_a_whole_film_is_no_damage(many_films: Library, request_: tuple[Span, int]) -> None:
    film_id = many_films.find("film-02.mp4").id
    sentence = r"^film-02\.mp4 ends at 4\.0 s, and a clip up to 4\.5 s was requested$"
    with pytest.raises(MediaError, match=sentence) as caught:
        ClipSource(many_films, SHAPE).read(ClipRequest(film_id, *request_))
    assert caught.value.code == "truncated"


def test_a_source_with_open_films_can_be_handed_to_another_process(many_films: Library) -> None:
    source, request = ClipSource(many_films, SHAPE), ClipRequest(many_films.films()[0].id, Span(0, 24))
    clip = source.read(request)
    other = pickle.loads(pickle.dumps(source))
    assert not other._open
    assert np.array_equal(other.read(request).video_TPW, clip.video_TPW)
    assert np.array_equal(source.read(request).video_TPW, clip.video_TPW)
