"""`load_batches`: batches of M films × k clips, the same for any number of workers and ranks."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from odd_sources import Dies, HasABug, TellsParts, TellsThreads

from talkies.clips import (
    ClipConfig,
    ClipSource,
    LoaderConfig,
    SamplingConfig,
    TrainingClips,
    check_decoder,
    load_batches,
    open_training_clips,
)
from talkies.core import ClipBatch, ConfigError, LibraryError, MediaError, PlanError, WorkError
from talkies.library import Library
from talkies.media import VideoReader
from talkies.runtime import count_cores

pytestmark = pytest.mark.slow

CLIP = ClipConfig(frames=4, fps=16, audio_seconds=0.5)
SAMPLING = SamplingConfig(films_per_batch=4, clips_per_film=3)
STEPS = range(2, 6)


def opened(library: Library) -> TrainingClips:
    return open_training_clips(library.root, CLIP, SAMPLING, seed=5)


def batches(library: Library, workers: int, rank: int = 0, world_size: int = 1) -> list[ClipBatch]:
    clips = opened(library)
    return list(
        load_batches(clips.source, clips.plan, STEPS, LoaderConfig(workers=workers), rank=rank, world_size=world_size)
    )


@pytest.fixture(scope="module")
def of_this_process(many_films: Library) -> list[ClipBatch]:
    """The batches that this very process loads."""
    return batches(many_films, workers=0)


def same(left: ClipBatch, right: ClipBatch) -> bool:
    parts = ("video_BTPW", "audio_BS", "film_B", "start_B")
    return left.requests == right.requests and all(
        torch.equal(getattr(left, part), getattr(right, part)) for part in parts
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_each_rank_knows_the_films_and_starts_of_the_whole_batch(many_films: Library, workers: int) -> None:
    plan = opened(many_films).plan
    for rank in range(2):
        for step, batch in zip(STEPS, batches(many_films, workers, rank, 2), strict=True):
            whole = plan.draw_batch(step)
            assert batch.starts is not None
            assert (batch.starts.film_N == whole.film_N).all()
            assert (batch.starts.start_N == whole.start_N).all()
            own = slice(rank * len(batch), (rank + 1) * len(batch))
            assert batch.film_B.tolist() == whole.film_N[own].tolist()
            assert batch.start_B.tolist() == [request.window.start_frame for request in batch.requests]


def test_a_batch_is_m_films_of_k_clips_each(many_films: Library, of_this_process: list[ClipBatch]) -> None:
    assert len(of_this_process) == len(STEPS)
    for batch in of_this_process:
        assert len(batch) == 12
        assert list(Counter(request.film_id for request in batch.requests).values()) == [3, 3, 3, 3]
        assert batch.video_BTPW.shape == (12, 4, 48, 32)
        assert batch.audio_BS.shape == (12, 8000)


def test_film_numbers_tell_films_apart_as_their_ids_do(many_films: Library, of_this_process: list[ClipBatch]) -> None:
    ids = sorted(film.film_id for film in many_films.films())
    for batch in of_this_process:
        assert [ids[number] for number in batch.film_B.tolist()] == [request.film_id for request in batch.requests]


def test_the_batches_are_those_of_the_plan_with_the_clips_of_the_source(
    many_films: Library, of_this_process: list[ClipBatch]
) -> None:
    clips = opened(many_films)
    source = ClipSource(many_films, clips.source.shape)
    for step, batch in zip(STEPS, of_this_process, strict=True):
        assert batch.requests == tuple(clips.plan.draw_batch(step))
        clip = source.read(batch.requests[7])
        assert torch.equal(batch.video_BTPW[7], torch.from_numpy(clip.video_TPW))
        assert torch.equal(batch.audio_BS[7], torch.from_numpy(clip.audio_S))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_change_nothing_in_the_batches(
    many_films: Library, of_this_process: list[ClipBatch], workers: int
) -> None:
    from_workers = batches(many_films, workers)
    assert len(from_workers) == len(of_this_process)
    assert all(same(*pair) for pair in zip(from_workers, of_this_process, strict=True))


@pytest.mark.parametrize("most_clips", [1, 5, 7])
def test_the_size_of_the_parts_that_are_read_changes_nothing_in_the_batches(
    many_films: Library, of_this_process: list[ClipBatch], most_clips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.clips.loader._PART_CLIPS", most_clips)
    assert all(same(*pair) for pair in zip(batches(many_films, 0), of_this_process, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_of_many_clips_is_read_in_parts_of_whole_films(many_films: Library, workers: int) -> None:
    plan = open_training_clips(many_films.root, CLIP, SamplingConfig(films_per_batch=11, clips_per_film=7), seed=5).plan
    config = LoaderConfig(workers=workers)
    for step, batch in zip(STEPS, load_batches(TellsParts(), plan, STEPS, config), strict=True):  # type: ignore[arg-type]
        assert batch.audio_BS[:, 0].tolist() == [28] * 28 + [28] * 28 + [21] * 21
        assert batch.requests == tuple(plan.draw_batch(step))
        assert batch.film_B.tolist() == plan.draw_batch(step).film_N.tolist()


def test_a_film_with_more_clips_than_a_part_is_read_at_once(
    many_films: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.clips.loader._PART_CLIPS", 2)
    clips = opened(many_films)
    whole = list(load_batches(TellsParts(), clips.plan, STEPS, LoaderConfig(workers=0)))  # type: ignore[arg-type]
    assert {read for batch in whole for read in batch.audio_BS[:, 0].tolist()} == {3}


@pytest.mark.parametrize("world_size", [2, 4, 5, 7, 12])
def test_the_ranks_shares_are_together_the_whole_batch(
    many_films: Library, of_this_process: list[ClipBatch], world_size: int
) -> None:
    shares = [batches(many_films, workers=0, rank=rank, world_size=world_size) for rank in range(world_size)]
    for place, whole in enumerate(of_this_process):
        mine = [share[place] for share in shares]
        assert {len(share) for share in mine} <= {12 // world_size, -(-12 // world_size)}
        assert tuple(request for share in mine for request in share.requests) == whole.requests
        assert torch.equal(torch.cat([share.video_BTPW for share in mine]), whole.video_BTPW)
        assert torch.equal(torch.cat([share.audio_BS for share in mine]), whole.audio_BS)
        assert torch.equal(torch.cat([share.film_B for share in mine]), whole.film_B)


def test_a_rank_with_workers_of_its_own_gets_its_share(many_films: Library, of_this_process: list[ClipBatch]) -> None:
    share = batches(many_films, workers=2, rank=3, world_size=5)
    for mine, whole in zip(share, of_this_process, strict=True):
        assert mine.requests == whole.requests[7:9]
        assert torch.equal(mine.video_BTPW, whole.video_BTPW[7:9])
        assert torch.equal(mine.audio_BS, whole.audio_BS[7:9])


def test_a_run_that_goes_on_gets_the_batches_it_would_have_had(
    many_films: Library, of_this_process: list[ClipBatch]
) -> None:
    clips = opened(many_films)
    rest = list(load_batches(clips.source, clips.plan, range(4, 6), LoaderConfig(workers=0)))
    assert all(same(*pair) for pair in zip(rest, of_this_process[2:], strict=True))


def test_no_steps_give_no_batches(many_films: Library) -> None:
    clips = opened(many_films)
    assert list(load_batches(clips.source, clips.plan, range(0), LoaderConfig(workers=2))) == []


def test_some_films_of_a_library_can_be_trained_on_alone(many_films: Library) -> None:
    chosen = [film.film_id for film in many_films.films()][3:8]
    clips = open_training_clips(many_films.root, CLIP, SAMPLING, seed=5, film_ids=chosen)
    assert list(clips.plan.films.film_ids) == chosen
    assert clips.profile == many_films.profile


def test_films_that_the_library_lacks_are_counted_and_the_first_is_named(many_films: Library) -> None:
    sentence = f"^{many_films.root} lacks 2 films of this run, {'0' * 16} first; ingest the removed films again$"
    with pytest.raises(LibraryError, match=sentence):
        open_training_clips(many_films.root, CLIP, SAMPLING, 5, ["0" * 16, many_films.films()[0].film_id, "1" * 16])


def test_films_that_are_too_short_are_named_by_their_file(many_films: Library) -> None:
    with pytest.raises(PlanError, match=r"^11 films cannot give 9 clips a batch: film-\d\d\.mp4 \(at most 8\)"):
        open_training_clips(many_films.root, CLIP, SamplingConfig(films_per_batch=2, clips_per_film=9), seed=5)


def test_a_clip_that_does_not_fit_the_grid_is_refused(many_films: Library) -> None:
    with pytest.raises(ConfigError, match=r"^clip\.fps must divide the library's 16 frames a second, got 5;"):
        open_training_clips(many_films.root, ClipConfig(fps=5), SAMPLING, seed=5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_proxy_is_told_in_its_sentence_from_any_process(
    many_films: Library, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(many_films.root, tmp_path / "lib")
    copy = Library.open(tmp_path / "lib")
    for film in copy.films():
        path = copy.proxy_path(film.id)
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MediaError, match=r"^film-\d\d\.mp4: .*proxy\.mp4 cannot be opened as a proxy") as told:
        batches(copy, workers)
    assert "\n" not in str(told.value)
    assert "; repair it with: talkies ingest " in str(told.value)


def test_a_worker_that_was_killed_ends_the_loading_in_one_sentence(many_films: Library) -> None:
    sentence = (
        r"^a process that reads clips died \(out of memory or of /dev/shm, or killed\); "
        r"run the command again with fewer loader\.workers or a smaller loader\.prefetch$"
    )
    plan = opened(many_films).plan
    with pytest.raises(WorkError, match=sentence):
        list(load_batches(Dies(), plan, STEPS, LoaderConfig(workers=1)))  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_program_is_not_taken_for_a_killed_process(many_films: Library, workers: int) -> None:
    plan = opened(many_films).plan
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(load_batches(HasABug(), plan, STEPS, LoaderConfig(workers=workers)))  # type: ignore[arg-type]


def test_a_worker_runs_one_thread(many_films: Library) -> None:
    plan = opened(many_films).plan
    loaded = list(load_batches(TellsThreads(), plan, STEPS, LoaderConfig(workers=1)))  # type: ignore[arg-type]
    assert [set(batch.audio_BS[:, 0].tolist()) for batch in loaded] == [{1}] * len(STEPS)


@pytest.mark.parametrize(
    ("cores", "processes", "workers"),
    [(1, 1, 1), (2, 1, 1), (4, 1, 3), (8, 1, 7), (64, 1, 16), (8, 2, 3), (8, 8, 1), (16, 3, 4), (256, 8, 16)],
)
def test_by_default_each_core_but_those_that_train_has_a_worker(cores: int, processes: int, workers: int) -> None:
    assert LoaderConfig().workers == "auto"
    assert LoaderConfig().count_workers(cores, processes) == workers


def test_a_number_of_workers_that_is_told_is_taken() -> None:
    assert [LoaderConfig(workers=workers).count_workers(4, 2) for workers in (0, 1, 40)] == [0, 1, 40]
    assert count_cores() >= 1


def test_workers_are_shared_out_among_the_processes_of_this_machine_and_not_of_all(
    many_films: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Recorded:
        def __init__(self, *_: object, num_workers: int, **__: object) -> None:
            asked.append(num_workers)

        def __iter__(self) -> object:
            return iter(())

    monkeypatch.setattr("talkies.clips.workers.DataLoader", Recorded)
    monkeypatch.setattr("talkies.clips.loader.count_cores", lambda: 12)
    for local in ({}, {"LOCAL_WORLD_SIZE": "2"}):
        for name, value in local.items():
            monkeypatch.setenv(name, value)
        clips = opened(many_films)
        batches_of = load_batches(clips.source, clips.plan, range(100), LoaderConfig(), rank=1, world_size=4)
        with pytest.raises(RuntimeError, match="StopIteration"):  # there is nothing to load
            next(batches_of)
    assert asked == [2, 5]


def test_a_gpu_that_decodes_has_its_own_number_of_workers_and_its_own_reader(
    many_films: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LoaderConfig(decoder="cuda").count_workers(16) == 4
    assert LoaderConfig(decoder="cuda").count_workers(2) == 1
    assert LoaderConfig(decoder="cuda", workers=7).count_workers(16) == 7
    asked: list[str] = []

    class Reader(VideoReader):
        def __init__(self, path: Path, fps: int, device: str) -> None:
            asked.append(device)
            super().__init__(path, fps)

    monkeypatch.setattr("talkies.clips.source.CudaVideoReader", Reader)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    clips = opened(many_films)
    batches = {
        decoder: next(load_batches(clips.source, clips.plan, range(1), LoaderConfig(workers=0, decoder=decoder)))
        for decoder in ("cpu", "cuda")
    }
    assert torch.equal(batches["cpu"].video_BTPW, batches["cuda"].video_BTPW)
    assert set(asked) == {"cuda:3"}
    with pytest.raises(ConfigError, match=r"this machine has no CUDA device; set loader\.decoder=cpu"):
        check_decoder(LoaderConfig(decoder="cuda"), clips.source, clips.plan)
    check_decoder(LoaderConfig(), clips.source, clips.plan)
