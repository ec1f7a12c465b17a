"""Recipes by name or by file, with single values overridden."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from talkies.config import to_yaml
from talkies.core import MODALITIES, ConfigError
from talkies.models import AdaptationConfig, build_model
from talkies.objectives import ContrastiveObjective, ObjectiveConfig
from talkies.training import list_recipes, resolve
from talkies.training.optimiser import build_optimiser

# The encoders of recipes that leave them to be named.
NAMED = dict.fromkeys(("adapt-heads", "adapt-lora-24gb"), ("model.video=tiny", "model.audio=tiny"))

OFF = (
    *("loss", "bias", "learn_bias", "within_film_weight", "time_weighting", "time_scale_seconds"),
    *("agreement", "agreement_share", "agreement_threshold", "recurrences"),
    *("queue_clips_per_film", "queue_negatives", "momentum"),
)


def test_the_package_ships_these_recipes() -> None:
    arms = ["random", "within-film", "within-film-positives"]
    full_size = ["r2plus1d18", "r2plus1d18-24gb", "r2plus1d18-8gpu", "vit-s"]
    assert list_recipes() == sorted(["adapt-heads", "adapt-lora-24gb", *full_size, "tiny", *arms])


@pytest.mark.parametrize("arm", ["random", "within-film-positives"])
def test_the_comparison_arms_differ_from_one_another_in_their_sampling_alone(arm: str) -> None:
    one, other = resolve("within-film").model_dump(), resolve(arm).model_dump()
    assert one.pop("sampling") != other.pop("sampling")
    assert one == other
    assert resolve("within-film").sampling.batch_clips == resolve(arm).sampling.batch_clips == 256


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_resolves_to_a_model_that_can_be_built(name: str) -> None:
    config = resolve(name, NAMED.get(name, ()))
    assert build_model(config.model).embedding_dim == config.model.embedding_dim


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_complete(name: str) -> None:
    written = yaml.safe_load((files("talkies.recipes") / f"{name}.yaml").read_text(encoding="utf-8"))
    expected = resolve(name, NAMED.get(name, ())).model_dump(mode="json")
    for key in OFF:  # what a recipe leaves out because it is off
        assert expected["objective"].pop(key) == ObjectiveConfig.model_fields[key].default
    if name not in NAMED:  # what concerns public encoders only is left out where there are none
        assert expected.pop("adaptation") == AdaptationConfig().model_dump(mode="json")
        assert expected["model"].pop("frame_pool") == "mean"
    else:
        assert (written["model"]["video"], written["model"]["audio"]) == (None, None)
        written["model"] |= {"video": "tiny", "audio": "tiny"}
    assert written == expected


@pytest.mark.parametrize("name", list_recipes())
def test_every_value_of_a_recipe_says_why(name: str) -> None:
    lines = (files("talkies.recipes") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if re.fullmatch(r" *\w+: *[^ #].*", line)]
    leaves = resolve(name, NAMED.get(name, ())).model_dump(mode="json", exclude_unset=True)
    assert len(values) == count_leaves(leaves)
    assert [line for line in values if not re.search(r" # \S.{4,}$", line)] == []


def count_leaves(values: dict[str, Any]) -> int:
    return sum(count_leaves(value) if isinstance(value, dict) else 1 for value in values.values())


def test_the_full_size_recipes_have_settings_like_the_published_ones() -> None:
    """The table in docs/training.md has the published ones, with their sources."""
    for name in ("r2plus1d18", "r2plus1d18-24gb", "r2plus1d18-8gpu", "random", "within-film", "within-film-positives"):
        config = resolve(name)
        optimiser, video = config.optimiser, config.transforms.video
        assert 3e-4 <= optimiser.learning_rate * (256 / config.sampling.batch_clips) ** 0.5 <= 5e-4
        assert optimiser.weight_decay <= 1e-2
        assert optimiser.max_grad_norm == 1.0
        assert (video.crop_area_min, video.grey, video.hue) == (0.2, 0.2, 0.2)
        assert 46e6 < config.training.steps * config.sampling.batch_clips < 115e6
        assert optimiser.warmup_steps >= 2 / (1 - optimiser.beta2) - 1e-6
    assert resolve("r2plus1d18").training.steps == 200_000
    assert resolve("r2plus1d18-8gpu").optimiser.learning_rate == 1e-3
    assert resolve("vit-s").optimiser.learning_rate == 1.5e-4


def test_no_full_size_recipe_chooses_its_checkpoint_by_a_number_of_training() -> None:
    by = {name: resolve(name, NAMED.get(name, ())).training.best_by for name in list_recipes()}
    assert by.pop("tiny") == "accuracy_within_film"  # as the published study was made
    assert set(by.values()) == {"last"}


def test_the_recipe_for_a_consumer_card_differs_only_in_memory() -> None:
    one, other = resolve("r2plus1d18").model_dump(), resolve("r2plus1d18-24gb").model_dump()
    for key in ("chunk_clips", "checkpoint_every"):
        assert one["training"].pop(key) > other["training"].pop(key)
    assert one.pop("loader") != other.pop("loader")
    assert one == other


@pytest.mark.parametrize("name", list_recipes())
def test_no_norm_bias_or_temperature_of_a_recipe_decays(name: str) -> None:
    config = resolve(name, (*NAMED.get(name, ()), *(f"adaptation.{m}.train=all" for m in MODALITIES)))
    with torch.device("meta"):
        system = nn.ModuleDict(
            {"model": build_model(config.model), "objective": ContrastiveObjective(config.objective, 16)}
        )
    optimiser = build_optimiser(system, config.optimiser)
    decays = {id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    matrices = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    expected = {id(module.weight) for module in system.modules() if isinstance(module, matrices)}
    assert decays == expected
    temperature = system["objective"].get_parameter("log_temperature")
    assert id(temperature) not in decays


def test_the_full_size_recipe_is_what_the_source_trained() -> None:
    config = resolve("r2plus1d18")
    assert (config.model.video, config.model.audio) == ("r2plus1d18", "resnet18")
    assert (config.clip.frames, config.clip.fps, config.clip.audio_seconds) == (16, 16, 2.0)
    assert (config.transforms.video.size, config.transforms.audio.mels) == (112, 80)


def test_an_override_sets_one_value_and_no_other() -> None:
    before, after = resolve("tiny").model_dump(), resolve("tiny", ["sampling.clips_per_film=5"]).model_dump()
    assert after["sampling"].pop("clips_per_film") == 5
    assert before["sampling"].pop("clips_per_film") == 16
    assert before == after


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.steps=7", 7),
        ("training.seed=3", 3),
        ("sampling.films_per_batch=2", 2),
        ("sampling.clips_per_film=16", 16),
        ("objective.cross_film_weight=0.5", 0.5),
        ("objective.temperature=0.2", 0.2),
        ("optimiser.learning_rate=3e-4", 3e-4),
    ],
)
def test_the_keys_that_are_a_contract_are_there(override: str, value: float) -> None:
    section, key = override.partition("=")[0].split(".")
    assert resolve("tiny", [override]).model_dump()[section][key] == value


def test_a_recipe_file_is_read_as_a_shipped_one_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(resolve("tiny", ["training.seed=9"])))
    assert resolve(str(path)) == resolve("tiny", ["training.seed=9"])


def test_an_unknown_recipe_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'tiney'.*did you mean 'tiny'\?.*there are: .*r2plus1d18.*, tiny"):
        resolve("tiney")


def test_a_recipe_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml cannot be read as a config: no such file or directory"):
        resolve(str(tmp_path / "mine.yaml"))


def test_a_recipe_file_that_lacks_a_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("clip: {frames: 8}\n")
    with pytest.raises(ConfigError, match=r"recipe .*mine\.yaml: the key 'sampling' is missing"):
        resolve(str(path))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.stepz=3", r"unknown key 'training\.stepz' in --set.*did you mean 'training\.steps'\?"),
        ("smapling.clips_per_film=3", r"unknown key 'smapling\..*did you mean 'sampling\.clips_per_film'\?"),
        ("sampling=3", r"unknown key 'sampling' in --set"),
        ("training.steps", r"an override is key=value, got 'training\.steps'"),
        ("training.steps=many", r"--set: 'training\.steps' got 'many': input should be a valid integer"),
        ("training.steps=2.5", r"--set: 'training\.steps' got 2\.5: input should be a valid integer"),
        ("training.steps=0", r"--set: 'training\.steps' got 0: input should be greater than or equal to 1"),
        ("objective.temperature=0", r"--set: 'objective\.temperature' got 0: input should be greater than"),
        ("training.device=tpu", r"--set: 'training\.device' got 'tpu': input should be 'auto', 'cpu' or 'cuda'"),
        ("model.video=tinny", r"--set: model\.video: no video encoder 'tinny'.*did you mean 'tiny'\?"),
        ("training.steps=[", r"the value of --set training\.steps cannot be read, got '\['"),
        ("training.devices=3", r"the 64 clips of a batch must divide among training\.devices, got 3$"),
    ],
)
def test_an_override_that_cannot_be_is_told_in_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resolve("tiny", [override])


def test_a_batch_without_negatives_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="a batch needs at least two clips, because each is the negative of the others"
    ):
        resolve("tiny", ["sampling.films_per_batch=1", "sampling.clips_per_film=1"])


def test_a_batch_whose_negatives_count_for_nothing_is_refused() -> None:
    sentence = r"with sampling\.clips_per_film = 1 there are no within-film negatives.*: set the weight to 1"
    with pytest.raises(ConfigError, match=sentence):
        resolve("tiny", ["sampling.clips_per_film=1"])
    config = resolve("tiny", ["sampling.clips_per_film=1", "objective.cross_film_weight=1"])
    assert config.objective.cross_film_weight == 1.0
