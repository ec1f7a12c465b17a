"""What a recipe would do, and how often a run has passed over its films."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from talkies.analysis.settings import TINY
from talkies.core import ConfigError
from talkies.evaluation.plan import count_learnt_passes, plan_training
from talkies.runs.run_folder import RunFolder, RunRecord

FILMS = ("a" * 16, "b" * 16)


def test_the_default_is_the_recipe_tiny() -> None:
    assert plan_training("tiny") == TINY


def test_a_recipe_has_its_clips_and_steps() -> None:
    plan = plan_training("within-film", ("training.steps=100",))
    assert (plan.batch_clips, plan.cross_film_weight, plan.clip_seconds) == (256, 1.0, 2.0)
    assert plan.count_passes(51_200) == 1  # 100 × 256 × 2 s
    assert plan.overrides == ("training.steps=100",)


def test_where_public_encoders_decide_on_clips_the_passes_are_unknown() -> None:
    plan = plan_training("adapt-heads", ("model.video=hf:a/b", "model.audio=hf:a/c"))
    assert plan.count_passes(100.0) is None
    with pytest.raises(ConfigError, match="trains with encoders that you name; add --set model"):
        plan_training("adapt-heads")


def library_of(**seconds: float) -> Any:
    films = [SimpleNamespace(film_id=16 * name, duration_seconds=each) for name, each in seconds.items()]
    return SimpleNamespace(films=lambda: films)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    record = RunRecord(library=str(tmp_path / "gone"), profile={}, films=FILMS, tools={})
    sampling = "sampling: {films_per_batch: 4, clips_per_film: 3, few_films: take_all}\n"
    RunFolder(tmp_path / "run").create(sampling, record)
    return tmp_path / "run"


def test_passes_are_the_seconds_that_a_run_saw_over_those_that_its_films_have(run: Path) -> None:
    # Of two films a batch has 2 × 3 clips: 10 steps × 6 clips × 2 s = 120 s of 40 s.
    assert count_learnt_passes(run, 10, 2.0, library_of(a=10.0, b=30.0, c=500.0)) == (2, 3.0)


def test_passes_are_unknown_if_no_library_has_the_films(run: Path) -> None:
    assert count_learnt_passes(run, 10, 2.0, library_of(a=10.0)) == (2, None)


def test_a_folder_without_a_record_was_not_trained_here(tmp_path: Path) -> None:
    assert count_learnt_passes(tmp_path, 10, 2.0, library_of()) is None
