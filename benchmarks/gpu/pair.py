"""The study's pair at full size: negatives of other films against negatives of the same film, on the same films.

Both arms see batches of the same number of clips and take the time that they are given. Their runs stay in the working
folder, and the next day continues them; they are compared at the newest step that both have reached.
"""

import contextlib
import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gpu.deadline import TimeIsUpError, stop_after
from gpu.films import count_films
from gpu.records import Record, describe_error
from gpu.settings import Settings
from talkies.clips import list_windows, read_films
from talkies.core import TalkiesError
from talkies.library import Library
from talkies.runs import ClipEncoder, RunFolder, load_encoder
from talkies.training import Progress, RunConfig, pretrain, resolve
from talkies.training.metrics import read_metrics

if TYPE_CHECKING:  # these need scikit-learn, which the other parts do without
    from talkies.evaluation.film_tasks.concepts import FilmsWithTruth

RANDOM, WITHIN = "random", "within-film"
MODULES = {"sklearn": "scikit-learn"}
SHOWN = ("concept_video", "concept_audio", "within_film_recall_at_1", "across_films_recall_at_1", "film_video")
_PROBE_FILMS = 32
_LAST_CHECKPOINTS = 8


def train_arm(arm: str, settings: Settings, record: Record) -> None:
    """Train one arm until its time ends, from its newest checkpoint if there is one, and report how far it came."""
    run, config = _find_run(arm, settings), make_config(arm, settings)
    started = _find_newest(run)
    begun = time.perf_counter()
    with contextlib.suppress(TimeIsUpError):
        _train(run, config, settings, record, Progress(on_step=stop_after(record.seconds_left)))
    lines = read_metrics(run / "metrics.jsonl")
    late = lines[-20:] or [{}]
    record.add(
        configuration=arm,
        step=_find_newest(run),
        steps_taken=len(lines) - started,
        clips=len(lines) * config.sampling.batch_clips,
        loss=_average(late, "loss"),
        accuracy_which_film=_average(late, "accuracy_which_film"),
        clips_per_second=_average(late, "clips_per_second"),
        waiting_share=_average(late, "data_wait_share"),
        seconds=time.perf_counter() - begun,
    )


def make_config(arm: str, settings: Settings) -> RunConfig:
    """Return the recipe of an arm: the batch is as large as the films allow for the arm that takes one clip of each."""
    sizes = settings.sizes
    per_film = sizes.pair_clips_per_film
    clips = min(sizes.pair_batch_clips, _count_pair_films(settings)) // per_film * per_film
    films, each = (clips, 1) if arm == RANDOM else (clips // per_film, per_film)
    lines = [
        *settings.list_overrides(arm),
        f"sampling.films_per_batch={films}",
        f"sampling.clips_per_film={each}",
        "sampling.least_gap_seconds=0",
        f"training.steps={sizes.pair_steps}",
        f"training.checkpoint_every={sizes.pair_every}",
        f"training.keep={_LAST_CHECKPOINTS}",
        "training.chunk_clips=null",
        "training.compile=false",
        "optimiser.learning_rate=0.0003",
        "optimiser.warmup_steps=100",
        "loader.memory_mib=1000" if not settings.is_dry else "loader.memory_mib=0",
    ]
    return resolve(arm, lines)


def _find_run(arm: str, settings: Settings) -> Path:
    return settings.work / "pair" / arm


def _count_pair_films(settings: Settings) -> int:
    """Return how many films the pair began with, for both arms and all days; it begins with those that there are."""
    path = settings.work / "pair" / "films.txt"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(count_films(settings)), encoding="utf-8")
    return int(path.read_text(encoding="utf-8"))


def _find_newest(run: Path) -> int:
    checkpoints = RunFolder(run).list_checkpoints()
    return checkpoints[-1].step if checkpoints else 0


def _train(run: Path, config: RunConfig, settings: Settings, record: Record, progress: Progress) -> None:
    """Train, and start again if the run of an earlier day cannot be continued."""
    if run.exists() and not RunFolder(run).list_checkpoints():
        shutil.rmtree(run)
    films = sorted(Library.open(settings.library).usable_films(), key=lambda film: film.name)
    film_ids = [film.film_id for film in films[: _count_pair_films(settings)]]
    is_begun = run.exists()
    try:
        pretrain(settings.library, config, run, resume=is_begun, progress=progress, film_ids=film_ids)
    except TalkiesError as error:
        if not is_begun:
            raise
        record.note(f"The earlier run of {run.name} was started again: {describe_error(error)}")
        shutil.rmtree(run)
        pretrain(settings.library, config, run, progress=progress, film_ids=film_ids)


def _average(lines: list[dict[str, float]], name: str) -> float | None:
    values = [line[name] for line in lines if name in line]
    return sum(values) / len(values) if values else None


def measure_pair(settings: Settings, record: Record) -> None:
    """Report the study's measures of both arms at the newest step that both have, and of an untrained model."""
    from talkies.study.measure import measure

    runs = {arm: _find_run(arm, settings) for arm in (RANDOM, WITHIN)}
    steps = [{each.step for each in RunFolder(run).list_checkpoints()} for run in runs.values()]
    common = max(steps[0] & steps[1], default=None)
    if common is None:
        record.note("The arms have no step in common yet, so nothing is compared.")
        return
    wanted = [(arm, run, common) for arm, run in runs.items() if common]
    for name, run, step in [*wanted, ("untrained", runs[RANDOM], 0)]:
        encoder = load_encoder(run, step)
        unseen = _encode(encoder, settings.unseen_library, settings.unseen_films, None)
        learnt = _encode(encoder, settings.library, settings.films, _PROBE_FILMS)
        shares = measure(unseen, learnt, encoder, seed=0).shares
        record.add(configuration=name, step=step, **{measure_name: shares[measure_name] for measure_name in SHOWN})
    record.note(
        f"{_count_pair_films(settings)} films to learn from, {settings.sizes.unseen_films} unseen ones, one seed: "
        "a beginning, not a result of the study."
    )


def _encode(encoder: ClipEncoder, library: Path, truth: Path, count: int | None) -> "FilmsWithTruth":
    """Return the first films of a library, encoded clip by clip, with their truth."""
    from talkies.evaluation.film_tasks.concepts import FilmsWithTruth, read_truth
    from talkies.evaluation.film_tasks.encode_films import EncodedFilm

    opened = Library.open(library)
    chosen = sorted(opened.usable_films(), key=lambda film: film.name)[:count]
    shape = encoder.shape
    requests = {film: list_windows(film.id, film.frames, shape, shape.window_frames) for film in chosen}
    encoded = [
        EncodedFilm(film.name, tuple(requests[film]), encoder.encode_batches(batches))
        for film, batches in read_films(opened, shape, requests)
    ]
    return FilmsWithTruth(encoded, read_truth(truth))


train_random = partial(train_arm, RANDOM)
train_within = partial(train_arm, WITHIN)
