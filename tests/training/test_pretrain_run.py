"""What a run writes: its config, its record, its metrics, its checkpoints."""

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from talkies.config import check, read_yaml
from talkies.core import LibraryError
from talkies.library import Library
from talkies.models import build_model, compute_model_stamp
from talkies.runs import RunFolder
from talkies.training import PretrainReport, Progress, RunConfig, pretrain
from talkies.training.optimiser import compute_learning_rate

Config = Callable[..., RunConfig]
PROMISED = {
    *("step", "loss", "loss_within_film", "loss_which_film", "cross_entropy"),
    *("accuracy_within_film", "accuracy_which_film", "within_film_share", "negatives"),
    *("alignment", "uniformity_video", "uniformity_audio", "norm_video", "norm_audio", "gradient_norm"),
    *("clips_per_second", "times_real_time", "data_wait_share"),
    *("learning_rate", "temperature", "cross_film_weight"),
}


def lines_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def scalars_of(run: Path, tag: str) -> list[tuple[int, float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(run / "tensorboard")).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_the_run_holds_the_resolved_config(whole_run: PretrainReport, small: Config) -> None:
    assert check(RunConfig, read_yaml(whole_run.run / "config.yaml"), "config.yaml") == small()


def test_the_record_names_the_library_its_profile_its_films_and_the_tools(
    whole_run: PretrainReport, library: Library
) -> None:
    record = json.loads((whole_run.run / "run.json").read_text())
    assert record["library"] == str(library.root)
    assert record["profile"] == library.profile.model_dump()
    assert record["films"] == [film.film_id for film in library.films()]
    assert {"talkies", "torch", "av"} <= record["tools"].keys()


def test_a_run_learns_from_the_films_that_it_is_given_and_resumes_with_them(
    library: Library, small: Config, tmp_path: Path
) -> None:
    chosen = [film.film_id for film in library.films()][:2]
    run, two_films = tmp_path / "run", "sampling.films_per_batch=2"
    pretrain(library.root, small(two_films, "training.steps=1"), run, film_ids=chosen[::-1])
    pretrain(library.root, small(two_films, "training.steps=2"), run, resume=True)
    assert json.loads((run / "run.json").read_text())["films"] == sorted(chosen)
    assert lines_of(run)[-1]["step"] == 2
    with pytest.raises(LibraryError, match=r"lacks 1 film of this run, 0{32} first"):
        pretrain(library.root, small(two_films), tmp_path / "other", film_ids=[*chosen, "0" * 32])
    assert not (tmp_path / "other").exists()


def test_each_logged_step_has_the_promised_numbers(whole_run: PretrainReport) -> None:
    lines = lines_of(whole_run.run)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line.keys() == PROMISED for line in lines)
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert all(line["clips_per_second"] > 0 for line in lines)


def test_the_two_parts_of_the_loss_add_up_to_the_cross_entropy(whole_run: PretrainReport) -> None:
    for line in lines_of(whole_run.run):
        assert line["loss_within_film"] + line["loss_which_film"] == pytest.approx(line["cross_entropy"], abs=1e-6)


def test_the_loss_weighs_the_second_part_as_the_config_says(whole_run: PretrainReport) -> None:
    for line in lines_of(whole_run.run):
        assert line["loss"] == pytest.approx(line["loss_within_film"] + 0.25 * line["loss_which_film"], abs=1e-6)


def test_the_achieved_share_of_within_film_negatives_is_that_of_the_batch(whole_run: PretrainReport) -> None:
    films, clips = 2, 4
    for line in lines_of(whole_run.run):
        assert line["within_film_share"] == pytest.approx((clips - 1) / (films * clips - 1), abs=1e-6)


def test_each_number_is_of_the_kind_that_its_name_says(whole_run: PretrainReport) -> None:
    for line in lines_of(whole_run.run):
        assert line["negatives"] == 7
        assert 0 <= line["data_wait_share"] <= 1
        assert 0 < line["alignment"] < 4
        assert -4 <= line["uniformity_video"] <= 0
        assert -4 <= line["uniformity_audio"] <= 0
        assert min(line[name] for name in ("norm_video", "norm_audio", "gradient_norm")) > 0
        assert (line["temperature"], line["cross_film_weight"]) == pytest.approx((0.1, 0.25))
        assert line["times_real_time"] == pytest.approx(line["clips_per_second"])  # its clips last a second


def test_times_real_time_counts_the_seconds_of_the_pictures(library: Library, small: Config, tmp_path: Path) -> None:
    pretrain(library.root, small("training.steps=1", "clip.frames=4"), tmp_path / "run")
    (line,) = lines_of(tmp_path / "run")
    assert line["times_real_time"] == pytest.approx(0.5 * line["clips_per_second"])


def test_two_views_of_each_clip_are_reported_beside_the_rest(library: Library, small: Config, tmp_path: Path) -> None:
    pretrain(library.root, small("training.steps=1", "objective.within_modal_weight=0.5"), tmp_path / "run")
    (line,) = lines_of(tmp_path / "run")
    beside = {f"within_modal_{name}" for name in PROMISED if name.startswith(("loss_", "accuracy_", "cross_entropy"))}
    assert line.keys() == PROMISED | beside | {"loss_contrastive", "loss_within_modal"}
    assert line["loss"] == pytest.approx(line["loss_contrastive"] + line["loss_within_modal"], rel=1e-6)


def test_the_weight_of_other_films_follows_its_schedule_in_what_is_logged_and_in_the_loss(
    library: Library, small: Config, tmp_path: Path
) -> None:
    points = "[{at_step: 1, cross_film_weight: 0.0}, {at_step: 3, cross_film_weight: 1.0}]"
    pretrain(library.root, small(f"objective.cross_film_schedule={points}"), tmp_path / "run")
    lines = lines_of(tmp_path / "run")
    assert [line["cross_film_weight"] for line in lines] == pytest.approx([0.25, 0.0, 0.5, 1.0, 1.0, 1.0])
    for line in lines:
        expected = line["loss_within_film"] + line["cross_film_weight"] * line["loss_which_film"]
        assert line["loss"] == pytest.approx(expected, abs=1e-6)


def test_the_logged_learning_rate_follows_the_schedule(whole_run: PretrainReport, small: Config) -> None:
    expected = [compute_learning_rate(step, 6, small().optimiser) for step in range(6)]
    assert [line["learning_rate"] for line in lines_of(whole_run.run)] == pytest.approx(expected)


def test_tensorboard_shows_the_numbers_of_the_metrics(whole_run: PretrainReport) -> None:
    lines = lines_of(whole_run.run)
    for name in ("loss", "within_film_share", "learning_rate"):
        steps, values = zip(*scalars_of(whole_run.run, name), strict=True)
        assert steps == (1, 2, 3, 4, 5, 6)
        assert values == pytest.approx([line[name] for line in lines], rel=1e-6)


def test_the_untrained_checkpoint_stays_with_the_newest_ones(whole_run: PretrainReport) -> None:
    assert [checkpoint.step for checkpoint in RunFolder(whole_run.run).list_checkpoints()] == [0, 4, 6]


def test_a_checkpoint_is_tensors_and_json_and_nothing_in_a_run_is_a_pickle(whole_run: PretrainReport) -> None:
    for folder in (whole_run.run / "checkpoints").iterdir():
        assert {path.name for path in folder.iterdir()} == {
            "model.safetensors",
            "optimiser.safetensors",
            "state.json",
        }
    for path in (path for path in whole_run.run.rglob("*") if path.is_file()):
        assert path.suffix in {".safetensors", ".json", ".jsonl", ".yaml"} or "tfevents" in path.name
        assert path.read_bytes()[:2] not in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def test_the_stamp_is_that_of_the_saved_weights(whole_run: PretrainReport, small: Config) -> None:
    weights = load_file(RunFolder(whole_run.run).get_checkpoint().folder / "model.safetensors")
    model = build_model(small().model)
    model.load_state_dict({name[6:]: tensor for name, tensor in weights.items() if name.startswith("model.")})
    assert compute_model_stamp(model) == whole_run.stamp == RunFolder(whole_run.run).get_checkpoint().read_state().stamp


def test_training_moves_every_weight_that_learns(whole_run: PretrainReport) -> None:
    before, after = (RunFolder(whole_run.run).get_checkpoint(step).read_model_weights() for step in (0, 6))
    still = [name for name, tensor in before.items() if torch.equal(tensor, after[name])]
    assert still == ["objective.log_temperature"]  # fixed in this recipe


def test_a_temperature_that_is_learnt_moves(library: Library, small: Config, tmp_path: Path) -> None:
    config = small("training.steps=2", "objective.learn_temperature=true", "objective.temperature=0.2")
    pretrain(library.root, config, tmp_path / "run")
    first, second = (line["temperature"] for line in lines_of(tmp_path / "run"))
    assert first == pytest.approx(0.2, rel=1e-6)
    assert second != first


def test_the_caller_hears_of_each_step_and_each_line(library: Library, small: Config, tmp_path: Path) -> None:
    steps: list[int] = []
    lines: list[dict[str, float]] = []
    progress = Progress(steps.append, lines.append)
    report = pretrain(
        library.root, small("training.steps=3", "training.log_every=2"), tmp_path / "run", False, progress
    )
    assert steps == [1, 2, 3]
    assert [line["step"] for line in lines] == [2, 3]
    assert lines == lines_of(tmp_path / "run")
    assert report.last == lines[-1]
    assert (report.run, report.steps) == (tmp_path / "run", 3)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    library: Library, small: Config, tmp_path: Path
) -> None:
    stamps = [
        pretrain(library.root, small("training.steps=2", f"training.seed={seed}"), tmp_path / str(number)).stamp
        for number, seed in enumerate((5, 5, 6))
    ]
    assert stamps[0] == stamps[1]
    assert stamps[0] != stamps[2]


def test_the_global_generator_has_no_say_in_a_run(library: Library, small: Config, tmp_path: Path) -> None:
    config, stamps = small("training.steps=1"), []
    for number in range(2):
        torch.manual_seed(number)
        stamps.append(pretrain(library.root, config, tmp_path / str(number)).stamp)
    assert stamps[0] == stamps[1]


def test_a_worker_process_changes_nothing_in_what_is_learnt(
    library: Library, small: Config, tmp_path: Path, whole_run: PretrainReport
) -> None:
    report = pretrain(library.root, small("loader.workers=1"), tmp_path / "run")

    def learnt(run: Path) -> list[dict[str, Any]]:
        timed = ("clips_per_second", "times_real_time", "data_wait_share")
        return [{name: value for name, value in line.items() if name not in timed} for line in lines_of(run)]

    assert learnt(report.run) == learnt(whole_run.run)
    assert report.stamp == whole_run.stamp
