"""Fixtures for all tests: real media, small rendered films, an ingested library of them, and a run on it."""

import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from talkies.cli.main import main
from warm_isolation import WarmNursery

if TYPE_CHECKING:  # PyTorch takes seconds, and the process that only hands out the tests needs none of it
    from talkies.library import Library
    from talkies.training import RunConfig

ROOT = Path(__file__).parents[1]

SLOW = ("slow", "kills", "browser", "real_data", "ranks")  # what `make quick` leaves out
COLD = ("kills", "ranks", "test_isolation", "test_duplicates", "test_worker_limits")  # markers, and modules

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # compiled here, and not in processes that import PyTorch
multiprocessing.set_forkserver_preload(["talkies.clips"])  # imported once, and not by each loader's every process


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage meanwhile, nor later among the modules and the tests, which stay: that takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each module on one worker, which makes what its tests share once; the slow ones come first.

    A long group that came last would leave the other workers idle. (`make test` keeps this order.)
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)
    slow = {group_of(item) for item in items if any(map(item.get_closest_marker, SLOW))}
    items.sort(key=lambda item: group_of(item) not in slow)


def group_of(item: pytest.Item) -> str:
    """Return the name of the group that a test was put in."""
    mark = item.get_closest_marker("xdist_group")
    assert mark is not None
    return str(mark.args[0])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real media beside the checkout; without it the test skips, or fails if it is required."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        message = f"no real media at {folder}"
        if os.environ.get("TALKIES_REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three rendered films of twelve seconds, with their truth."""
    from talkies.synth import SynthConfig, render_films

    folder = tmp_path_factory.mktemp("films")
    render_films(folder, 3, SynthConfig(seconds=12.0), seed=7)
    return folder


@pytest.fixture(scope="session")
def library(films: Path, tmp_path_factory: pytest.TempPathFactory) -> "Library":
    """A library of the rendered films; read only."""
    from talkies.ingestion import ingest

    return ingest([films], tmp_path_factory.mktemp("library") / "lib").library


@pytest.fixture(scope="session")
def two_steps() -> "Callable[..., RunConfig]":
    """A function from overrides to the config of a run of two steps."""
    from talkies.training import resolve

    least = (
        "training.steps=2",
        "training.recalibration_batches=0",  # of so few clips, statistics say little
        "sampling.films_per_batch=2",
        "sampling.clips_per_film=2",
        "transforms.video.size=32",
        "loader.workers=0",
    )
    return lambda *overrides: resolve("tiny", [*least, *overrides])


@pytest.fixture(scope="session")
def run(library: "Library", two_steps: "Callable[..., RunConfig]", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on the library; read only."""
    from talkies.training import pretrain

    return pretrain(library.root, two_steps(), tmp_path_factory.mktemp("runs") / "run").run


@pytest.fixture(scope="session", autouse=True)
def _warm_isolation() -> Iterator[WarmNursery]:
    """Isolated processes begin where their imports are done already."""
    nursery = WarmNursery()
    with nursery.install():
        yield nursery
    nursery.close()


@pytest.fixture(autouse=True)
def _cold_isolation(request: pytest.FixtureRequest, _warm_isolation: WarmNursery) -> Iterator[None]:
    """Tests of isolation itself, and those that compare with other processes' work, begin theirs as users do."""
    if any(map(request.node.get_closest_marker, COLD)) or request.path.stem in COLD:
        with _warm_isolation.uninstall():
            yield
    else:
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """The tests run beside each other: more threads than cores wait for one another."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _isolated_randomness() -> Iterator[None]:
    """Each test begins from the same global generators and leaves them as they were."""
    import torch

    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002
    torch.manual_seed(0)
    yield
    torch.random.set_rng_state(state)
    np.random.set_state(numpy_state)  # noqa: NPY002


@pytest.fixture
def document_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function from the arguments of a `talkies` call that succeeds to the JSON document that it prints."""

    def call(*arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["talkies", *map(str, arguments), "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert left.value.code == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def sentence_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function from the arguments of a `talkies` call that is refused (exit status 2) to its sentence."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["talkies", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert (left.value.code, out) == (2, ""), err
        sentence = err.strip()
        assert sentence.startswith("talkies: ")
        assert "\n" not in sentence
        return sentence

    return call
