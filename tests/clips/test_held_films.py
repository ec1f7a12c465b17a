"""Films held in memory give the clips and the errors that they give when they are read from their files."""

import json
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.clips import ClipConfig, ClipSource, LoaderConfig, SamplingConfig, load_batches, open_training_clips
from talkies.core import ClipRequest, Framing, MediaError, Span
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.media import FilmWriter, VideoReader, X264Settings

pytestmark = pytest.mark.slow

SHAPE = ClipConfig(frames=4, fps=8, audio_seconds=1.0).to_shape(16)  # 8 frames of picture amid 16 of sound
FILMS, FRAMES = 5, 64  # 1 MiB holds the first three that are requested
BARS = {
    "film-1.mp4": [{"start_frame": 20, "end_frame": 44, "top": 4, "bottom": 6, "left": 0, "right": 0}],
    "film-2.mp4": [
        {"start_frame": 0, "end_frame": 30, "top": 0, "bottom": 0, "left": 12, "right": 10},
        {"start_frame": 30, "end_frame": FRAMES, "top": 2, "bottom": 2, "left": 2, "right": 2},
    ],
}


def write_noisy_film(path: Path, number: int) -> None:
    """Write a film of four seconds in which no two pictures, places or sounds are alike."""
    random = np.random.default_rng(number)
    scene = random.integers(0, 256, (4, 6, 3)).repeat(8, 0).repeat(8, 1)
    with FilmWriter(path, (48, 32), 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in range(FRAMES):
            writer.write_rgb(np.roll(scene, frame, axis=(0, 1)).astype(np.uint8))
            writer.write_audio(random.integers(-9000, 9000, 1000).astype(np.int16))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of five films of 48 × 32 pixels, two with bars in their records; read only."""
    root = tmp_path_factory.mktemp("noisy")
    (root / "films").mkdir()
    for number in range(FILMS):
        write_noisy_film(root / "films" / f"film-{number}.mp4", number)
    library = ingest([root / "films"], root / "lib", profile=Profile(short_side=32)).library
    for name, bars in BARS.items():
        path = library.film_folder(library.find(name).id) / "film.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "bars": bars}))
    return Library.open(root / "lib")


@pytest.fixture
def own(noisy: Library, tmp_path: Path) -> Library:
    """A copy of the library that may be damaged."""
    return Library.open(shutil.copytree(noisy.root, tmp_path / "lib"))


def holding(library: Library, memory_mib: int = 1, framing: Framing = "centre") -> ClipSource:
    source = ClipSource(library, SHAPE, framing)
    source.hold_films(memory_mib)
    return source


def clip_of(library: Library, number: int, start: int = 0) -> ClipRequest:
    return ClipRequest(library.find(f"film-{number}.mp4").id, Span(start, start + 16))


def outcome(source: ClipSource, requests: list[ClipRequest]) -> tuple[bytes, ...]:
    """Return what reading a batch gives: its pictures and samples, or the error."""
    try:
        batch = source.read_batch(requests)
    except MediaError as error:
        return error.code.encode(), str(error).encode()
    return batch.video_BTPW.numpy().tobytes(), batch.audio_BS.numpy().tobytes()


def open_proxies(library: Library) -> int:
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(path.is_relative_to(library.root) and path.name == "proxy.mp4" for path in links)


Moment = tuple[int, int, int | None, list[float]]
"""A film, where the picture starts, where the sound starts (None: with the picture), and the places of the squares."""
moments = st.tuples(
    st.integers(0, FILMS - 1),
    st.integers(0, FRAMES - 16) | st.sampled_from([0, FRAMES - 16]),
    st.integers(0, FRAMES - 16) | st.none(),
    st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3),
)
moments_past_the_end = st.tuples(
    st.integers(0, FILMS - 1), st.integers(FRAMES - 20, FRAMES + 8), st.integers(30, FRAMES), st.just([0.5])
)


@pytest.mark.parametrize("framing", ["centre", "whole"])
@pytest.mark.parametrize("memory_mib", [1, 2])
def test_batches_and_errors_are_those_of_the_files(noisy: Library, framing: Framing, memory_mib: int) -> None:
    ids = [noisy.find(f"film-{number}.mp4").id for number in range(FILMS)]
    from_files, from_memory = ClipSource(noisy, SHAPE, framing), holding(noisy, memory_mib, framing)

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(st.lists(moments, min_size=1, max_size=6), st.lists(moments_past_the_end, max_size=1))
    def check(inside: list[Moment], outside: list[Moment]) -> None:
        requests = [
            ClipRequest(ids[film], Span(start, start + 16), (start if sound is None else sound) - start, place)
            for film, start, sound, places in inside + outside
            for place in places
        ]
        assert outcome(from_memory, requests) == outcome(from_files, requests)

    check()
    from_files.close()
    from_memory.close()


def test_the_first_films_that_fit_are_read_from_memory_and_closed(own: Library) -> None:
    source = holding(own)
    requests = [clip_of(own, number, 20) for number in (4, 1, 3, 0, 2)]
    before = [outcome(source, [request]) for request in requests]
    assert open_proxies(own) == 2
    source.hold_films(1)  # what it may hold already
    for request in requests:
        own.proxy_path(request.film_id).write_bytes(b"")
        own.audio_path(request.film_id).unlink()
    again = [outcome(source, [request]) for request in requests]
    assert again[:3] == before[:3]
    assert [name for name, _ in again[3:]] == [b"truncated"] * 2

    # Closed, or with another allowance, it holds them no longer.
    source.close()
    assert outcome(source, requests[:1])[0] == b"unreadable"
    assert open_proxies(own) == 0


def test_a_source_holds_nothing_unless_it_is_told(own: Library) -> None:
    source = ClipSource(own, SHAPE)
    outcome(source, [clip_of(own, 0)])
    assert open_proxies(own) == 1
    source.close()


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def overwrite_end(path: Path) -> None:
    """Damage the last pictures of a proxy without a change of its size."""
    content = path.read_bytes()
    with VideoReader(path, 16) as reader:
        table = reader._table
    first, last = int(table.offset_N[FRAMES - 8]), int(table.offset_N[-1] + table.bytes_N[-1])
    path.write_bytes(content[:first] + bytes(last - first) + content[last:])


def replace_by_side(side: int, path: Path) -> None:
    """Replace a proxy by one with pictures of another size."""
    with FilmWriter(path, (side * 3 // 2, side), 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in range(FRAMES):
            writer.write_rgb(np.full((side, side * 3 // 2, 3), 3 * frame, np.uint8))
            writer.write_audio(np.zeros(1000, np.int16))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("proxy.mp4", Path.unlink),
        ("proxy.mp4", partial(cut, share=0.5)),
        ("proxy.mp4", partial(cut, share=0.9)),
        ("proxy.mp4", overwrite_end),
        ("proxy.mp4", partial(replace_by_side, 24)),
        ("proxy.mp4", partial(replace_by_side, 40)),
        ("audio.wav", Path.unlink),
        ("audio.wav", partial(cut, share=0.5)),
        ("film.json", Path.unlink),
    ],
)
@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_film_gives_its_good_clips_and_the_same_errors(
    own: Library, name: str, harm: Callable[[Path], None], number: int
) -> None:
    harm(own.film_file(clip_of(own, number).film_id, name))
    from_files, from_memory = ClipSource(own, SHAPE), holding(own)
    for start in (0, 30, 44, 48, 44, 30, 0, 60):
        requests = [clip_of(own, number, start)]
        assert outcome(from_memory, requests) == outcome(from_files, requests)
    from_files.close()
    from_memory.close()


def test_a_film_that_is_damaged_at_its_end_is_decoded_whole_only_once(
    own: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = clip_of(own, 0)
    overwrite_end(own.proxy_path(request.film_id))
    read, lengths = VideoReader.read_parts, []

    def read_parts(self: VideoReader, frames: range, *rest: object) -> None:
        lengths.append(len(frames))
        read(self, frames, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoReader, "read_parts", read_parts)
    source = holding(own)
    for start in (0, 10, 20):
        source.read(clip_of(own, 0, start))
    assert lengths == [FRAMES, 4, 4, 4]


def test_another_process_gets_the_allowance_and_none_of_the_films(own: Library) -> None:
    source, request = holding(own), clip_of(own, 1)
    before = outcome(source, [request])
    content = pickle.dumps(source)
    assert len(content) < 20_000
    other = pickle.loads(content)
    assert outcome(other, [request]) == before
    own.proxy_path(request.film_id).unlink()
    assert outcome(other, [request]) == before
    assert outcome(pickle.loads(content), [request])[0] == b"unreadable"


def test_the_loader_lets_its_source_hold_films(own: Library) -> None:
    clip, sampling = ClipConfig(frames=4, fps=8, audio_seconds=1.0), SamplingConfig(films_per_batch=4, clips_per_film=2)
    clips = open_training_clips(own.root, clip, sampling, seed=5)

    def load(memory_mib: int) -> list[bytes]:
        batches = load_batches(clips.source, clips.plan, range(6), LoaderConfig(workers=0, memory_mib=memory_mib))
        return [part.numpy().tobytes() for batch in batches for part in (batch.video_BTPW, batch.audio_BS)]

    from_files = load(0)
    assert load(2) == from_files
    clips.source.close()
    assert load(2) == from_files
    for film in own.films():
        own.proxy_path(film.id).unlink()
    assert load(2) == from_files
