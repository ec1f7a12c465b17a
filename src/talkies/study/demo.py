"""The demo: every step on synthetic films, in minutes on two cores, with a report to look at."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkies.evaluation import evaluate
from talkies.evaluation.results import Result
from talkies.ingestion import FailedFilm, IngestedFilm, ingest
from talkies.ingestion import Progress as IngestProgress
from talkies.library import read_json, write_json
from talkies.reporting import format_percent
from talkies.retrieval.index import embed
from talkies.runs import RunFolder, load_encoder
from talkies.study.demo_page import write_page
from talkies.study.demo_search import FoundMoments, measure_same_concept, search_by
from talkies.study.study import OnProgress
from talkies.synth import SynthConfig, render_films
from talkies.training import Progress, pretrain, resolve
from talkies.training.metrics import read_metrics

DEMO_COLUMNS = ("measure", "untrained", "trained", "chance")
_TASKS = ("retrieval", "synthetic-concepts")


@dataclass(frozen=True, slots=True)
class DemoScale:
    """The size of the demo: films to train on, unseen films, seconds of each, training steps, processes."""

    films: int = 12
    unseen_films: int = 4
    seconds: float = 48.0
    steps: int = 240
    workers: int = 2
    seed: int = 1


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The results of the demo: before and after training by task, searches, and the page."""

    workspace: Path
    page: Path
    untrained: dict[str, Result]
    trained: dict[str, Result]
    searches: dict[str, FoundMoments]
    same_concept: dict[str, float]
    same_concept_chance: float


def run_demo(workspace: Path, scale: DemoScale | None = None, on_progress: OnProgress | None = None) -> DemoReport:
    """Run every step on synthetic films in a folder, and return the results; finished steps are not run again.

    Args:
        workspace: The folder of all outputs; created if it does not exist.
        scale: The size of the demo.
        on_progress: Called with the name of a stage, the finished part, its total, and a note.

    Raises:
        TalkiesError: as the verbs that it calls.
    """
    scale, tell = scale or DemoScale(), on_progress or (lambda *_: None)
    films, unseen = workspace / "films", workspace / "unseen-films"
    _render(films, scale.films, scale, 2 * scale.seed, tell)
    _render(unseen, scale.unseen_films, scale, 2 * scale.seed + 1, tell)
    library = _ingest(films, workspace / "library", scale, tell)
    unseen_library = _ingest(unseen, workspace / "unseen-library", scale, tell)
    run = workspace / "run"
    _pretrain(library, run, scale, tell)
    untrained, trained = (
        {task: _evaluate(task, run, unseen, step, tell) for task in _TASKS} for step in (0, scale.steps)
    )
    embed(unseen_library, run, on_film=_make_counter("embed the unseen films", tell))
    searches = {side: search_by(side, unseen_library, unseen, run) for side in ("video", "audio")}
    shares, chance = measure_same_concept(unseen_library, unseen, run)
    report = DemoReport(workspace, workspace / "report.html", untrained, trained, searches, shares, chance)
    write_page(report.page, unseen_library, read_metrics(RunFolder(run).metrics_path), list_demo_rows(report), searches)
    tell("report", 1, 1, str(report.page))
    return report


def list_demo_rows(report: DemoReport) -> list[tuple[str, str, str, str]]:
    """Return the rows of the summary table: measure, untrained, trained, chance."""
    rows: list[tuple[str, str, str, str]] = []
    for task, names in _SHOWN.items():
        before, after = report.untrained[task], report.trained[task]
        for name, words in names.items():
            chance = after.protocol["chance"][name]
            untrained, trained = format_percent(before.metrics[name].mean), format_percent(after.metrics[name].mean)
            rows.append((words, untrained, trained, format_percent(chance)))
    for side, words in (("video", "picture → picture"), ("audio", "sound → picture")):
        share, chance = report.same_concept[side], report.same_concept_chance
        label = f"search {words}: same concept among the best five"
        rows.append((label, "", format_percent(share), format_percent(chance)))
    return rows


def build_demo_document(report: DemoReport) -> dict[str, Any]:
    """Return the JSON document of the demo."""
    return {
        "workspace": str(report.workspace),
        "summary": [dict(zip(DEMO_COLUMNS, row, strict=True)) for row in list_demo_rows(report)],
        "report": str(report.page),
        "untrained": {task: result.model_dump(mode="json") for task, result in report.untrained.items()},
        "trained": {task: result.model_dump(mode="json") for task, result in report.trained.items()},
        "same_concept_among_best_five": {**report.same_concept, "chance": report.same_concept_chance},
    }


_SHOWN = {
    "retrieval": {
        "within_film_video_to_audio_recall_at_1": "picture → sound within the film, recall@1",
        "within_film_audio_to_video_recall_at_1": "sound → picture within the film, recall@1",
        "within_film_video_to_audio_recall_at_5": "picture → sound within the film, recall@5",
        "within_film_audio_to_video_recall_at_5": "sound → picture within the film, recall@5",
        "across_films_video_to_audio_recall_at_10": "picture → sound across films, recall@10",
        "across_films_audio_to_video_recall_at_10": "sound → picture across films, recall@10",
    },
    "synthetic-concepts": {
        "video_accuracy": "concept accuracy from picture features (linear probe)",
        "audio_accuracy": "concept accuracy from sound features (linear probe)",
    },
}


def _render(folder: Path, films: int, scale: DemoScale, seed: int, tell: OnProgress) -> None:
    counter = _make_counter(f"render {folder.name}", tell)
    config = SynthConfig(seconds=scale.seconds)
    render_films(folder, films, config, seed, scale.workers, on_film=lambda path: counter(path, films))


def _ingest(films: Path, library: Path, scale: DemoScale, tell: OnProgress) -> Path:
    counter = _make_counter(f"ingest {films.name}", tell)

    def on_progress(progress: IngestProgress, outcome: IngestedFilm | FailedFilm | None) -> None:
        if outcome is not None:
            counter(outcome, progress.films)

    ingest([films], library, workers=scale.workers, on_progress=on_progress)
    return library


def _pretrain(library: Path, run: Path, scale: DemoScale, tell: OnProgress) -> None:
    config = resolve("tiny", [f"training.steps={scale.steps}"])
    folder, note = RunFolder(run), ""
    if folder.exists() and folder.list_checkpoints() and folder.get_checkpoint().step == scale.steps:
        tell("pre-train", scale.steps, scale.steps, "already done")
        return

    def on_log(line: dict[str, float]) -> None:
        nonlocal note
        note = f"loss {line['loss']:.3f}, {line['clips_per_second']:.0f} clips/s"

    progress = Progress(on_step=lambda done: tell("pre-train", done, scale.steps, note), on_log=on_log)
    pretrain(library, config, run, resume=folder.exists(), progress=progress)


def _evaluate(task: str, run: Path, data: Path, step: int, tell: OnProgress) -> Result:
    """Return the result of a task, read from the workspace if the same weights gave it before."""
    path = run.parent / f"{task}-step-{step}.json"
    stage = f"evaluate {task}, {'trained' if step else 'untrained'}"
    if path.is_file():
        earlier = read_json(path, Result, "a result")
        if earlier.protocol.get("model_stamp") == load_encoder(run, step).stamp:
            tell(stage, 1, 1, "already done")
            return earlier
    result = evaluate(task, run, data, step, on_film=_make_counter(stage, tell))
    write_json(path, result)
    return result


def _make_counter(stage: str, tell: OnProgress) -> Callable[[object, int], None]:
    """Return a callback that counts its calls as progress of a stage."""
    done = 0

    def count(_: object, total: int) -> None:
        nonlocal done
        done += 1
        tell(stage, done, total, "")

    return count
