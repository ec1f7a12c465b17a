"""The scales that are shipped, and the arms that they make."""

from pathlib import Path

import pytest
from little_study import SMALL_FILMS, little, tones

from talkies.core import ConfigError, UsageError
from talkies.study import list_scale_names, read_scale, run_study
from talkies.study.arms import list_arms, list_natures
from talkies.study.sounds import Sounds
from talkies.training import resolve


def test_three_scales_are_shipped() -> None:
    assert list_scale_names() == ["gpu", "medium", "small"]


@pytest.mark.parametrize("name", ["gpu", "medium", "small"])
def test_every_arm_is_a_recipe_that_sees_as_many_clips_of_films_that_have_them(name: str) -> None:
    scale = read_scale(name)
    natures, arms = list_natures(scale, recorded=True), list_arms(scale, recorded=True)
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        config = resolve(scale.recipe, [*scale.set, *arm.sets])
        assert arm.nature in natures
        assert config.sampling.batch_clips * arm.steps == scale.batch_clips * scale.steps
        shape = config.clip.to_shape(scale.profile.fps)
        clip_seconds = shape.window_frames / scale.profile.fps + config.sampling.least_gap_seconds
        longest = max(config.sampling.clip_counts) * clip_seconds
        assert longest <= (config.sampling.widest_window_seconds or scale.synth.seconds)
        assert config.sampling.films_per_batch <= scale.films
    assert arms[0].name == "random"
    assert {arm.seeds for arm in arms[:2]} == {scale.pair_seeds}
    assert scale.pair_seeds >= 5
    assert scale.seeds >= 3


@pytest.mark.parametrize("name", ["gpu", "medium", "small"])
def test_the_whole_range_of_clips_of_a_film_is_gone_through(name: str) -> None:
    scale = read_scale(name)
    arms = [arm for arm in list_arms(scale, recorded=False) if arm.grid]
    assert {1, 2, 8, scale.batch_clips} <= {arm.clips_per_film for arm in arms}
    at_two = {arm.cross_film_weight for arm in arms if arm.clips_per_film == 2}
    assert at_two == set(scale.ranges.cross_film_weights)


def test_gpu_is_of_hundreds_of_films_and_the_large_encoder_one_arm_at_a_time() -> None:
    scale = read_scale("gpu")
    assert (scale.recipe, scale.side_by_side) == ("r2plus1d18", 1)
    assert scale.films >= 200
    assert resolve(scale.recipe, scale.set).training.checkpoint_every <= 500


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"judged_at": [1.0, 0.5]}, "must rise and end with 1"),
        ({"pair_clips_per_film": 3}, "must divide the batch's 4 clips, got 3"),
        ({"ranges": {"batch_factors": [0.3]}}, "choose other batch_factors"),
        ({"ranges": {"batch_factors": [1.0]}}, "batch_factors must list each value once"),
        ({"ranges": {"mark_strengths": [0.0, 0.0]}}, "mark_strengths must list each value once"),
        ({"ranges": {"recurrences": [{"places": 4, "characters": 3}]}}, "leave out that of the pair's films"),
        ({"films": 2}, "a batch of 4 clips from different films needs as many films, got 2"),
        ({"steps": 0}, "steps"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        little(**changes)


def test_films_too_short_for_an_arm_are_told_before_any_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="arm k4-w0 needs 4 clips of a film, 4 s, from 3 s; give the scale longer"):
        run_study(tmp_path / "out", little(synth=SMALL_FILMS | {"seconds": 3.0}, ranges={"clips_per_film": [4]}))
    assert not (tmp_path / "out").exists()


def test_few_concepts_in_a_film_are_measured_where_all_are() -> None:
    natures = list_natures(read_scale("small"), recorded=True)
    elsewhere = {name: nature.judged_on for name, nature in natures.items() if nature.judged_on}
    assert elsewhere == {"concepts-2": "plain"}


def test_the_page_says_how_many_models_a_scale_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "study.md").read_text(encoding="utf-8")
    for name in list_scale_names():
        scale = read_scale(name)
        counts = [sum(arm.seeds for arm in list_arms(scale, recorded)) for recorded in (False, True)]
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"| {counts[0]}, with `--sounds` {counts[1]} |" in row


def test_seeds_that_are_told_are_taken() -> None:
    scale = read_scale("small", 7)
    assert (scale.pair_seeds, scale.seeds) == (7, 3)
    assert (read_scale("small", 2).pair_seeds, read_scale("small", 2).seeds) == (2, 2)


def test_films_hear_some_recordings_and_the_test_the_others(tmp_path: Path) -> None:
    sounds = Sounds(tones(tmp_path))
    data = sounds.data
    split = data.splits[0]
    heard = {path for of_class in sounds.list_recordings() for path in of_class}
    held = {str(data.get_path(number).absolute()) for number in split.test}
    assert len(sounds.list_recordings()) == 3
    assert all(sounds.list_recordings())
    assert not heard & held
    assert len(heard | held) == 15
    with pytest.raises(UsageError, match="1 classes of sounds, and films can have 2 to 16"):
        _ = Sounds(tones(tmp_path / "alone", classes=1)).data


def test_films_of_esc10_are_of_three_folds_and_the_test_of_two(real_data: Path) -> None:
    data = Sounds(real_data / "esc10").data
    folds = [
        {data.examples[n].path.split("/")[1][0] for n in part} for part in (data.splits[0].train, data.splits[0].test)
    ]
    assert folds == [{"1", "2", "3"}, {"4", "5"}]
    assert [len(part) for part in (data.splits[0].train, data.splits[0].test)] == [240, 160]
