"""The scales that are shipped, and the arms that they make."""

from pathlib import Path

import pytest
from little_study import LITTLE, SMALL_FILMS, little, tones

from talkies.core import ConfigError, UsageError
from talkies.study import list_scale_names, read_scale, run_study
from talkies.study.arms import list_arms
from talkies.study.materials import MaterialFolders
from talkies.study.sounds import Sounds
from talkies.training import resolve

SCALES = ["composed", "gpu", "medium", "small"]


def test_the_scales_that_are_shipped() -> None:
    assert list_scale_names() == SCALES


@pytest.mark.parametrize("name", SCALES)
def test_every_arm_is_a_recipe_that_sees_as_many_clips_of_films_that_have_them(name: str) -> None:
    scale, arms = read_scale(name), list_arms(read_scale(name))
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        config = resolve(scale.recipe, [*scale.set, *arm.sets])
        assert arm.nature in scale.trained_natures
        assert config.sampling.batch_clips * arm.steps == scale.batch_clips * scale.steps * arm.length
        shape = config.clip.to_shape(scale.profile.fps)
        clip_seconds = shape.window_frames / scale.profile.fps + config.sampling.least_gap_seconds
        longest = max(config.sampling.clip_counts) * clip_seconds
        assert longest <= (config.sampling.widest_window_seconds or scale.synth.seconds)
        assert config.sampling.films_per_batch <= arm.films <= scale.count_films(arm.nature)
        assert config.objective.cross_film_weight == scale.samplings[arm.sampling].cross_film_weight
    assert arms[0].sampling == "random"
    assert scale.film_sets >= 3
    begun = [(arm.nature, arm.variant) for arm in arms if arm.measures_untrained]
    assert sorted(begun) == sorted({(arm.nature, arm.variant) for arm in arms}), "once for each nature and variant"


@pytest.mark.parametrize("name", SCALES)
def test_the_headline_is_the_sampling_of_the_paper_under_plain_infonce(name: str) -> None:
    scale = read_scale(name)
    first = next(iter(scale.families.values()))
    assert (first.pairings[0].arm, first.pairings[0].against) == ("k8-w1", "random")
    headline = scale.samplings["k8-w1"]
    assert (headline.clips_per_film, headline.cross_film_weight, headline.set) == (8, 1.0, ())


def test_medium_and_gpu_show_the_plane_of_films_and_lengths() -> None:
    medium = read_scale("medium")
    arms = list_arms(medium)
    plane = {(arm.films, arm.length) for arm in arms if arm.sampling == "k8-w1" and arm.nature == "plain"}
    assert {(films, length) for films in (32, 64, 128, 256, 1024) for length in (1, 5)} <= plane
    gpu = read_scale("gpu")
    assert (gpu.recipe, gpu.side_by_side) == ("r2plus1d18", 1)
    assert gpu.count_films("plain") >= 256
    assert resolve(gpu.recipe, gpu.set).training.checkpoint_every <= 500


CLAIM = LITTLE["families"]["claim"]  # type: ignore[index]


def block(**values: object) -> dict[str, object]:
    """Return the changes to a scale of one block and no family."""
    samplings = LITTLE["samplings"] | {"three": {"words": "3", "clips_per_film": 3}}  # type: ignore[operator]
    return {"samplings": samplings, "blocks": [{"films": [4], "samplings": ["random"]} | values], "families": {}}


def claim(**pairing: object) -> dict[str, object]:
    """Return the changes to a scale of one family with one pairing."""
    return {"families": {"claim": CLAIM | {"pairings": [{"arm": "within", "films": [4]} | pairing]}}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"judged_at": [1.0, 0.5]}, "must rise and end with 1"),
        (block(samplings=["three"]), "must divide the batch's 4 clips, got 3"),
        (block(batches=[3]), "must give a whole number of steps"),
        (block(batches=[8]), "a batch of 8 films needs as many to learn from, got 4"),
        (block(samplings=["rndom"]), "blocks name 'rndom'.*did you mean 'random'"),
        (block(natures=["dull"]), "natures name 'dull'"),
        (block(variants=["dull"]), "variants name 'dull'"),
        (claim(films=[5]), "family claim compares within at .* and no block trains it there"),
        (claim(against="nothing"), "families name 'nothing'"),
        ({"endpoints": ["concept_video", "taste"]}, "endpoints name 'taste'"),
        ({"probe_films": 5}, "at most 4"),
        ({"steps": 0}, "steps"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        little(**changes)


def test_films_too_short_for_an_arm_are_told_before_any_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs 2 clips of a film, 2 s, from 1\.5 s; give the scale longer"):
        run_study(tmp_path / "out", little(synth=SMALL_FILMS | {"seconds": 1.5}))
    assert not (tmp_path / "out").exists()


def test_film_sets_that_are_told_are_taken() -> None:
    assert read_scale("small", 7).film_sets == 7
    with pytest.raises(ConfigError, match="--film-sets"):
        read_scale("small", 1)


def test_the_page_says_how_many_models_a_scale_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "study.md").read_text(encoding="utf-8")
    for name in list_scale_names():
        scale = read_scale(name)
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"| {len(list_arms(scale)) * scale.film_sets} |" in row


def test_clean_recordings_are_tested_on_those_of_no_film(tmp_path: Path) -> None:
    root = tones(tmp_path / "tones")
    for seed in range(3):  # those of the films are drawn by the same seed
        data, (seen, unseen) = Sounds(root, seed).data, MaterialFolders(root).read_split(seed)
        for numbers, side in zip((data.splits[0].train, data.splits[0].test), (seen, unseen), strict=True):
            assert {data.get_path(n).absolute() for n in numbers} == {path for paths in side.sounds for path in paths}
    assert Sounds(root, 0).data.splits != Sounds(root, 1).data.splits
    split = Sounds(root).data.splits[0]
    assert not {*split.train} & {*split.test}
    assert len({*split.train} | {*split.test}) == 15
    with pytest.raises(UsageError, match="1 class of sounds; name a folder with at least two"):
        _ = Sounds(tones(tmp_path / "alone", classes=1)).data


def test_films_of_esc10_are_of_three_folds_and_the_test_of_two(real_data: Path) -> None:
    data = Sounds(real_data / "esc10").data
    folds = [
        {data.examples[n].path.split("/")[1][0] for n in part} for part in (data.splits[0].train, data.splits[0].test)
    ]
    assert folds == [{"1", "2", "3"}, {"4", "5"}]
    assert [len(part) for part in (data.splits[0].train, data.splits[0].test)] == [240, 160]
