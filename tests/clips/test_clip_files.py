"""Clips read ahead by processes: what such a process has to import, and the process that it is forked from."""

import multiprocessing
import pickle
import pickletools
from pathlib import Path

import pytest

from talkies.clips import workers
from talkies.clips.clip_files import ClipFile, ClipFiles, ViewSampling
from talkies.clips.clip_spec import ClipSpec
from talkies.clips.workers import read_by_workers
from talkies.evaluation.datasets import DataSet, Example

SAMPLING = ViewSampling(ClipSpec(8, 8, 32, 32, 1.0, 8_000), 10, 1)


def test_a_process_that_reads_clips_imports_nothing_of_the_evaluation() -> None:
    """A module that a pickle names is imported with its packages: those of `clips` import no learning of any kind."""
    examples = Example("1.wav", (0,), "1"), Example("2.wav", (1,), "2", (1, 2))
    data = DataSet("mine", Path("mine"), "audio", ("a", "b"), examples, ())
    files = ClipFiles([data.get_clip(0), data.get_clip(1)], ("audio",), SAMPLING, frozenset())
    pickled = pickle.dumps(files, protocol=0)
    modules = {str(named).split()[0] for code, named, _ in pickletools.genops(pickled) if code.name == "GLOBAL"}
    assert {name for name in modules if name.startswith("talkies.")} == {
        "talkies.clips.clip_files",
        "talkies.clips.clip_spec",
    }
    assert pickle.loads(pickled)._clips[1] == ClipFile(Path("mine/2.wav"), (1, 2))


class _Squares:
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        return index**2


def test_workers_are_forked_from_a_process_that_has_imported_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    preloaded: list[list[str]] = []
    monkeypatch.setattr(multiprocessing, "set_forkserver_preload", preloaded.append)
    monkeypatch.setattr(workers, "ensure_running", lambda: preloaded.append(["started"]))
    assert list(read_by_workers(_Squares(), 0)) == [0, 1, 4]  # type: ignore[arg-type]
    assert preloaded == [], "no process is needed"
    workers.prepare_workers()
    assert "talkies.clips" in preloaded[0]
    assert preloaded[1] == ["started"]
