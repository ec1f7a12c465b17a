"""The config in a run's folder is the config in force."""

from pathlib import Path

from talkies.config import check, read_yaml
from talkies.library import Library
from talkies.training import RunConfig, pretrain, resolve

SMALL = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=2",
    "transforms.video.size=32",
    "loader.workers=0",
)


def test_a_longer_run_holds_the_config_that_it_was_made_longer_with(library: Library, tmp_path: Path) -> None:
    run = tmp_path / "run"
    pretrain(library.root, resolve("tiny", SMALL), run)
    longer = resolve("tiny", [*SMALL, "training.steps=3"])
    pretrain(library.root, longer, run, resume=True)
    assert check(RunConfig, read_yaml(run / "config.yaml"), "config.yaml") == longer
