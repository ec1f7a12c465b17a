"""Search by file: pictures, sounds and clips find where they were taken from; unreadable files are refused."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import faulty_decoders
import numpy as np
import pytest
from PIL import Image

from talkies.core import LibraryError, MediaError, Span, UsageError
from talkies.library import Library
from talkies.media import AudioReader, FilmWriter, VideoReader, X264Settings, open_wav_writer, yuv_to_rgb
from talkies.retrieval.index import embed
from talkies.retrieval.search import Example, Searcher, SearchQuery, encode_file, load_example, save_example
from talkies.retrieval.search import example as example_module
from talkies.runtime import IsolationError, ProcessLimits

pytestmark = pytest.mark.slow

RECODED = X264Settings(gop=48, crf=20, preset="ultrafast", tune=None)
FPS = 16


@pytest.fixture(scope="module")
def searcher(new_shelf: Callable[[], Library], run: Path) -> Searcher:
    """The rendered library, embedded each half second."""
    shelf = new_shelf()
    embed(shelf.root, run, stride_seconds=0.5)
    return Searcher(shelf)


def read_part(library: Library, film: str, begin_frame: int, frames: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures and sound of a part of a film."""
    film_id = library.find(film).id
    with VideoReader(library.proxy_path(film_id), FPS) as video, AudioReader(library.audio_path(film_id)) as sound:
        pictures = [yuv_to_rgb(picture) for picture in video.read(range(begin_frame, begin_frame + frames))]
        return pictures, sound.read(Span(begin_frame, begin_frame + frames), 1000)


def write_excerpt(library: Library, film: str, begin_frame: int, frames: int, target: Path) -> Path:
    """A part of a film, coded anew."""
    pictures, sound_S = read_part(library, film, begin_frame, frames)
    height, width = pictures[0].shape[:2]
    with FilmWriter(target, (width, height), FPS, 16_000, RECODED) as writer:
        for number, picture in enumerate(pictures):
            writer.write_rgb(picture)
            writer.write_audio(sound_S[number * 1000 : (number + 1) * 1000])
    return target


def write_sound(samples_S: np.ndarray, target: Path) -> Path:
    with open_wav_writer(target, 16_000) as file:
        file.writeframes(samples_S.astype("<i2").tobytes())
    return target


@pytest.mark.parametrize(("film", "begin_frame"), [("film-000.mp4", 21), ("film-001.mp4", 78), ("film-002.mp4", 112)])
def test_the_first_hit_of_a_recoded_excerpt_is_where_it_was_taken_from(
    searcher: Searcher, tmp_path: Path, film: str, begin_frame: int
) -> None:
    path = write_excerpt(searcher.library, film, begin_frame, 56, tmp_path / "cut.mp4")
    begin, end = begin_frame / FPS, (begin_frame + 56) / FPS
    # After two steps of training pictures that return in a film are told apart by 0.0001 alone, so by sound above all.
    for side, first in (("both", 1), ("video", 3)):
        hits = searcher.search(SearchQuery(path, side, side, use_threshold=False)).hits
        assert hits[0].source == film
        assert any(hit.start_seconds < end and hit.end_seconds > begin for hit in hits[:first])


def test_a_picture_of_any_format_is_asked_with_its_picture_alone(searcher: Searcher, tmp_path: Path) -> None:
    (pictures, _), vectors = read_part(searcher.library, "film-001.mp4", 88, 1), []
    for suffix in ("png", "jpg", "webp"):
        Image.fromarray(pictures[0]).save(tmp_path / f"frame.{suffix}")
        example = searcher.encode_example(tmp_path / f"frame.{suffix}")
        assert (example.modalities, example.sequence) == (("video",), None)
        assert searcher.search(SearchQuery(example, use_threshold=False)).hits
        vectors.append(example.video_D)
    assert min(float(vectors[0] @ vector_D) for vector_D in vectors[1:]) > 0.999


def test_a_sound_finds_the_moment_that_it_is_of_and_pictures_that_go_with_it(
    searcher: Searcher, tmp_path: Path
) -> None:
    _, sound_S = read_part(searcher.library, "film-002.mp4", 48, 24)
    path = write_sound(sound_S, tmp_path / "cut.wav")
    example = searcher.encode_example(path)
    assert example.modalities == ("audio",)
    hit = searcher.search(SearchQuery(example, to="audio", use_threshold=False)).hits[0]
    assert (hit.source, abs(hit.start_seconds - 3) <= 0.5) == ("film-002.mp4", True)
    assert searcher.search(SearchQuery(example, to="video", use_threshold=False)).hits


def test_a_file_shorter_than_a_clip_is_asked_with_too(searcher: Searcher, tmp_path: Path) -> None:
    path = write_excerpt(searcher.library, "film-000.mp4", 40, 6, tmp_path / "blink.mp4")
    result = searcher.search(SearchQuery(path, use_threshold=False))
    assert result.hits
    assert result.end_seconds == pytest.approx(6 / FPS, abs=0.1)


def test_asking_with_a_side_that_the_file_lacks_is_refused(searcher: Searcher, tmp_path: Path) -> None:
    path = write_sound(np.zeros(32_000, np.int16), tmp_path / "still.wav")
    with pytest.raises(UsageError, match=r"^still\.wav has no picture to search with; search with its sound$"):
        searcher.search(SearchQuery(path, from_="video"))


def test_an_example_outlives_its_file_and_its_process(searcher: Searcher, tmp_path: Path) -> None:
    path = write_excerpt(searcher.library, "film-000.mp4", 40, 40, tmp_path / "cut.mp4")
    example = searcher.encode_example(path, "a name of its own")
    save_example(tmp_path / "kept.safetensors", example)
    path.unlink()
    kept = load_example(tmp_path / "kept.safetensors")
    assert (kept.name, kept.seconds, kept.stamp) == ("a name of its own", example.seconds, example.stamp)
    assert searcher.search(SearchQuery(kept)).hits == searcher.search(SearchQuery(example)).hits
    (tmp_path / "kept.safetensors").write_bytes(b"something else")
    with pytest.raises(LibraryError, match=r"is not a saved example, or is damaged; give the file again"):
        load_example(tmp_path / "kept.safetensors")


def test_an_example_of_another_model_is_refused(searcher: Searcher) -> None:
    other = Example("x.png", 1.0, "feedfacecafe", np.ones(128, np.float32), None)
    with pytest.raises(LibraryError, match=r"^x\.png was encoded by another model \(stamp feedfacecafe\) than the emb"):
        searcher.search(SearchQuery(other))


def test_without_the_model_only_files_cannot_be_asked_with(
    new_shelf: Callable[[], Library], run: Path, tmp_path: Path
) -> None:
    shelf, copied = new_shelf(), Path(shutil.copytree(run, tmp_path / "run"))
    embed(shelf.root, copied)
    shutil.rmtree(copied)
    searcher = Searcher(shelf)
    path = write_sound(np.zeros(32_000, np.int16), tmp_path / "still.wav")
    with pytest.raises(LibraryError, match=r"its run folder is gone .*; search by a moment"):
        searcher.search(SearchQuery(path))


def write_bomb(path: Path) -> Path:
    """A PNG of a few bytes that says it has 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.mp4", b"", r"^empty\.mp4 is empty; give a picture \(JPEG"),
        ("text.txt", b"Dear film, I am a letter." * 50, r"text\.txt .*; give a picture \(JPEG"),
        ("noise.bin", bytes(range(256)) * 400, r"noise\.bin .*; give a picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, r"cut\.png .*; give a picture"),
    ],
    ids=["empty", "text", "noise", "cut"],
)
def test_an_unreadable_file_is_refused_in_a_sentence(
    searcher: Searcher, tmp_path: Path, name: str, data: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError, match=sentence):
        searcher.encode_example(tmp_path / name)


def test_a_picture_of_very_many_pixels_is_not_opened(searcher: Searcher, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^bomb\.png has .*(too many|40000 × 40000) pixels"):
        searcher.encode_example(write_bomb(tmp_path / "bomb.png"))


@pytest.mark.parametrize(("fault", "code"), [("crash", "crashed"), ("eat", "out_of_memory"), ("hang", "timed_out")])
def test_a_decoder_that_crashes_hangs_or_eats_memory_costs_a_sentence(
    searcher: Searcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, code: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the other process finds it
    monkeypatch.setattr(example_module, "read_query_file", getattr(faulty_decoders, fault))
    limits = ProcessLimits(stall_seconds=8.0, total_seconds=12.0, memory_bytes=500_000_000)
    with pytest.raises(IsolationError) as told:
        encode_file(write_sound(np.zeros(9, np.int16), tmp_path / "a.wav"), searcher.load_encoder(), limits=limits)
    assert told.value.code == code
