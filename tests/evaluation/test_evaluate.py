"""The verb: tasks, the data they take, and the protocol that every number comes with."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from talkies.core import RunError, UsageError
from talkies.evaluation import TASKS, evaluate
from talkies.evaluation.film_tasks.encode_films import encode_films
from talkies.evaluation.results import Result
from talkies.evaluation.transfer import Protocol
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve


@pytest.fixture(scope="module")
def retrieval(run: Path, films: Path) -> Result:
    return evaluate("retrieval", run, films)


@pytest.fixture(scope="module")
def concepts(run: Path, films: Path) -> Result:
    return evaluate("synthetic-concepts", run, films)


def test_the_tasks_of_the_contract_are_there() -> None:
    films = {"synthetic-concepts", "retrieval", "sync", "matchcut", "scenes"}
    video = {"ucf101", "hmdb51", "kinetics400", "kinetics600", "kinetics700", "ssv2", "video-folder"}
    audio = {"esc50", "esc10", "dcase2014", "urbansound8k", "audioset", "speech-commands", "audio-folder"}
    both = {"vggsound", "kinetics-sounds", "ave"}
    assert set(TASKS) == films | video | audio | both


def test_every_number_comes_with_its_protocol(retrieval: Result, run: Path) -> None:
    protocol, encoder = retrieval.protocol, load_encoder(run)
    assert (protocol["run"], protocol["checkpoint_step"], protocol["model_stamp"]) == (str(run), 2, encoder.stamp)
    assert (protocol["films"], protocol["clips"], protocol["stride_seconds"]) == (3, 36, 1.0)
    assert protocol["clip"] == {"frames": 8, "fps": 8, "audio_seconds": 1.0}
    assert protocol["chance"]["across_films_video_to_audio_recall_at_1"] == 1 / 36
    assert protocol["chance"]["within_film_video_to_audio_recall_at_1"] == pytest.approx(1 / 12)
    assert protocol["chance"].keys() < retrieval.metrics.keys()


def test_concepts_give_an_accuracy_for_either_tower(concepts: Result) -> None:
    assert concepts.metrics.keys() == {"video_accuracy", "audio_accuracy"}
    assert concepts.protocol["chance"] == {"video_accuracy": 1 / 16, "audio_accuracy": 1 / 16}
    assert all(0 <= metric.mean <= 1 and metric.n == 5 for metric in concepts.metrics.values())


def test_the_same_call_gives_the_same_document_to_the_byte(run: Path, films: Path, retrieval: Result) -> None:
    apart = {"wall_seconds"}
    again = evaluate("retrieval", run, films).model_dump_json(exclude=apart)
    assert again == retrieval.model_dump_json(exclude=apart)


def test_a_document_reads_back_as_the_result(concepts: Result) -> None:
    assert Result.model_validate(json.loads(concepts.model_dump_json())) == concepts


def test_the_untrained_model_is_measured_as_such(run: Path, films: Path, retrieval: Result) -> None:
    untrained = evaluate("retrieval", run, films, step=0)
    assert untrained.protocol["checkpoint_step"] == 0
    assert untrained.protocol["model_stamp"] != retrieval.protocol["model_stamp"]
    assert untrained.metrics != retrieval.metrics


def test_a_folder_of_films_and_a_library_of_them_give_nearly_the_same_features(
    run: Path, films: Path, library: Library
) -> None:
    encoder = load_encoder(run)
    from_folder = {film.name: film for film in encode_films(encoder, films, 16)}
    from_library = {film.name: film for film in encode_films(encoder, library.root, 16)}
    assert from_folder.keys() == from_library.keys()
    for name, film in from_folder.items():
        stored = from_library[name]
        assert film.requests == stored.requests
        torch.testing.assert_close(film.encoded.audio_BE, stored.encoded.audio_BE, rtol=1e-3, atol=1e-3)
        cosine_B = functional.cosine_similarity(film.encoded.video_BE, stored.encoded.video_BE)
        assert cosine_B.min() > 0.98, name
        others_B = functional.cosine_similarity(film.encoded.video_BE, stored.encoded.video_BE.roll(1, 0))
        assert cosine_B.mean() > others_B.mean()


def test_each_film_is_told_as_it_is_done(run: Path, films: Path) -> None:
    told: list[tuple[str, int]] = []
    evaluate("retrieval", run, films, on_film=lambda name, total: told.append((name, total)))
    assert told == [("film-000.mp4", 3), ("film-001.mp4", 3), ("film-002.mp4", 3)]


def test_an_unknown_task_is_answered_with_the_nearest_and_all(run: Path, films: Path) -> None:
    sentence = r"no task 'retreival'.*did you mean 'retrieval'\?.*there are: ucf101, .*, synthetic-concepts, retrieval"
    with pytest.raises(UsageError, match=sentence):
        evaluate("retreival", run, films)


def test_film_tasks_have_a_fixed_protocol(run: Path, films: Path) -> None:
    with pytest.raises(UsageError, match="retrieval has a fixed protocol; leave out --protocol and --set"):
        evaluate("retrieval", run, films, protocol=Protocol())
    with pytest.raises(UsageError, match="retrieval measures every film of the folder; leave out --allow-missing"):
        evaluate("retrieval", run, films, allow_missing=True)


def test_a_folder_without_truth_has_no_concepts(run: Path, films: Path, tmp_path: Path) -> None:
    shutil.copy(films / "film-000.mp4", tmp_path)
    with pytest.raises(UsageError, match=r"has no truth of rendered films .*; make such a folder with: talkies render"):
        evaluate("synthetic-concepts", run, tmp_path)


def test_an_empty_folder_holds_no_film(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no film; name a folder of films, or a library$"):
        evaluate("retrieval", run, tmp_path)


def test_a_file_or_nothing_is_no_folder(run: Path, films: Path, tmp_path: Path) -> None:
    for data in (films / "film-000.mp4", tmp_path / "none"):
        with pytest.raises(UsageError, match=r"is not a folder; name a folder of films, or a library$"):
            evaluate("retrieval", run, data)


def test_a_step_without_a_checkpoint_is_refused(run: Path, films: Path) -> None:
    with pytest.raises(RunError, match=r"has no checkpoint of step 5; there are: 0, 2"):
        evaluate("retrieval", run, films, step=5)


def test_a_library_of_another_profile_is_refused(run: Path, films: Path, tmp_path: Path) -> None:
    other = ingest([films / "film-000.mp4"], tmp_path / "lib", profile=Profile(fps=8, gop=8)).library
    with pytest.raises(
        UsageError, match=r"lib has another profile \(fps=8 .*\) than the model was trained on \(fps=16"
    ):
        evaluate("retrieval", run, other.root)


def test_films_shorter_than_a_clip_cannot_be_measured(library: Library, films: Path, tmp_path: Path) -> None:
    overrides = [
        "sampling.films_per_batch=3",
        "sampling.clips_per_film=1",
        "clip.audio_seconds=10.0",
        "objective.cross_film_weight=1.0",
    ]
    small = [
        "training.steps=1",
        "transforms.video.size=32",
        "objective.cross_film_weight=1.0",
        "loader.workers=0",
    ]
    pretrain(library.root, resolve("tiny", [*overrides, *small]), tmp_path / "run")
    render_films(tmp_path / "short", 1, SynthConfig(seconds=3.0), seed=70)
    with pytest.raises(UsageError, match=r"no film in .*short is as long as one clip \(10 s\)"):
        evaluate("retrieval", tmp_path / "run", tmp_path / "short")
