"""Files that change behind the library's back: training stops with one sentence, and the command in it repairs them."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.core import Span
from talkies.library import Library, write_annotations

pytestmark = pytest.mark.slow

SETTINGS = (
    "training.steps=6", "training.checkpoint_every=1", "sampling.films_per_batch=3", "sampling.clips_per_film=2",
    "transforms.video.size=32", "loader.prefetch=1",
)  # fmt: skip


@pytest.mark.parametrize(("fault", "workers"), [("removed", 0), ("truncated", 1)])
def test_training_on_a_proxy_that_is_gone_names_the_film_and_the_command_that_repairs_it(
    fault: str, workers: int, talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    library, run = tmp_path / "a lib", tmp_path / "run"
    shutil.copytree(workspace / "lib", library)
    film = next(film for film in (library / "films").iterdir() if film.name[0] != ".")
    proxy = film / "proxy.mp4"
    if fault == "removed":
        proxy.unlink()
    else:
        proxy.write_bytes(proxy.read_bytes()[: proxy.stat().st_size // 3])
    sets = [part for value in (*SETTINGS, f"loader.workers={workers}") for part in ("--set", value)]
    call = ("pretrain", "--library", library, "--recipe", "tiny", "--run", run, *sets)
    stopped = talkies(*call)
    assert (stopped.status, stopped.out) == (1, "")
    assert "Traceback" not in stopped.err
    *_, sentence = stopped.err.strip().splitlines()
    told = re.fullmatch(r"talkies: (film-\d+\.mp4): .*proxy\.mp4 .+; repair it with: talkies (ingest .+)", sentence)
    assert told, sentence
    repaired = talkies(*shlex.split(told[2]))
    assert repaired.status == 0, repaired.err
    gone_on = talkies(*call, "--resume")
    assert gone_on.status == 0, gone_on.err


def test_a_run_does_not_go_on_when_its_films_are_marked_otherwise(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    library, run = tmp_path / "lib", tmp_path / "run"
    shutil.copytree(workspace / "lib", library)
    sets = [part for value in (*SETTINGS, "loader.workers=0") for part in ("--set", value)]
    call = ("pretrain", "--library", library, "--recipe", "tiny", "--run", run, *sets)
    assert talkies(*call).status == 0
    opened = Library.open(library)
    film = opened.films()[0]
    write_annotations(
        opened.film_folder(film.id) / "shots.parquet", {**opened.annotations_of(film.id), "black": [Span(0, 8)]}
    )
    shutil.rmtree(library / "catalogue")  # it is made of the films' folders
    refused = talkies(*call, "--resume", "--set", "training.steps=8")
    assert refused.status == 2
    assert re.search(
        r"the span annotations changed since this run began \(.* in \S+\); start a new run$", refused.err.strip()
    )
