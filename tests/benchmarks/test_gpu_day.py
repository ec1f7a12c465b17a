"""`make gpu`: its dry run on a processor, what it does with parts that fail, and what it says in docs/training.md."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import talkies
from gpu import command, loading, pair, report, requirements, runner, steps
from gpu.card import PEAK_TFLOPS, find_peak_tflops
from gpu.device_tests import read_outcome
from gpu.encoding import list_heads, list_lora
from gpu.records import Record, Recorded, describe_error
from gpu.requirements import explain_missing, list_missing
from gpu.runner import Outcome, Part, run_together
from gpu.settings import Settings
from talkies.core import LibraryError
from talkies.training import Progress, resolve

ROOT = Path(__file__).parents[2]
ABSENT = ("lancedb", "tensorboard", "ray", "fastapi")  # a bare machine has none of them


@pytest.mark.slow
def test_every_part_of_the_day_works_in_a_dry_run_without_what_a_bare_machine_lacks(tmp_path: Path) -> None:
    for name in ABSENT:
        (tmp_path / "absent" / name).mkdir(parents=True)
        (tmp_path / "absent" / name / "__init__.py").write_text("raise ImportError('not on a bare machine')\n")
    page = report.PAGE.read_text(encoding="utf-8")
    options = ["--device", "cpu", "--dry-run", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "absent"), "OMP_NUM_THREADS": "1"}
    called = [sys.executable, "-m", "benchmarks.gpu", *options]
    done = subprocess.run(called, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    name, *more = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert more == [f"{Path(name).stem}.md"]
    document = json.loads((tmp_path / "out" / name).read_text())
    parts = {part["name"]: part for part in document["parts"]}
    assert {part["state"] for part in parts.values()} == {"done"}
    reasons = [row["reason"] for part in parts.values() for row in part["rows"] if "reason" in row]
    assert all("has no bf16 arithmetic" in reason for reason in reasons), reasons  # as some processors
    assert all(part["rows"] for part in parts.values())
    assert {row["outcome"] for row in parts["tests"]["rows"]} == {"passed", "skipped"}
    assert [row["configuration"] for row in parts["pair"]["rows"]] == ["random", "within-film", "untrained"]
    assert (tmp_path / "out" / more[0]).read_text() == report.format_results(document)
    assert report.PAGE.read_text(encoding="utf-8") == page


def fail(settings: Settings, record: Record) -> None:
    record.add(configuration="first")
    raise ValueError("the number is wrong")


def die(settings: Settings, record: Record) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(settings: Settings, record: Record) -> None:
    child = subprocess.Popen(["sleep", "600"])
    record.add(configuration="first", child=child.pid)
    time.sleep(600)


def work(settings: Settings, record: Record) -> None:
    record.add(configuration="only", left=record.seconds_left)
    record.note("a note")


@pytest.fixture
def run_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Outcome]]:
    """A function from the work of parts and their limit to what became of each, by the name of the function."""
    monkeypatch.setattr(runner, "LEAST_SECONDS", 0.1)

    def run(
        *works: Callable[[Settings, Record], None], seconds: float = 60.0, left: float = 60.0
    ) -> dict[str, Outcome]:
        parts = [(Part(each.__name__, each.__name__.title(), each, seconds), "") for each in works]
        settings = Settings("cpu", is_dry=False, work=tmp_path)
        outcomes = run_together(parts, settings, tmp_path, method="fork", seconds_left=left)
        return {outcome.name: outcome for outcome in outcomes}

    return run


@pytest.mark.filterwarnings("default::DeprecationWarning")  # of a fork beside threads, which these parts do not use
class TestParts:
    """Parts run in forked processes."""

    def test_a_part_that_fails_keeps_its_rows_and_the_next_goes_on(
        self, run_parts: Callable[..., dict[str, Outcome]]
    ) -> None:
        outcomes = run_parts(fail, die, work)
        assert list(outcomes) == ["fail", "die", "work"]
        assert (outcomes["fail"].state, outcomes["fail"].reason) == ("failed", "ValueError: the number is wrong")
        assert outcomes["fail"].recorded.rows == [{"configuration": "first"}]
        assert (outcomes["die"].state, outcomes["die"].reason) == ("failed", "a signal ended it: SIGKILL")
        assert (outcomes["work"].state, outcomes["work"].recorded.notes) == ("done", ["a note"])
        assert 50 < outcomes["work"].recorded.rows[0]["left"] < 60

    def test_a_part_is_stopped_at_its_limit_with_all_that_it_has_started(
        self, run_parts: Callable[..., dict[str, Outcome]]
    ) -> None:
        started = time.monotonic()
        outcome = run_parts(hang, seconds=1.0)["hang"]
        assert time.monotonic() - started < 20
        assert (outcome.state, outcome.reason) == ("stopped", "it was stopped at its limit of 1 s")
        (row,) = outcome.recorded.rows
        deadline = time.monotonic() + 10
        while psutil.pid_exists(row["child"]) and psutil.Process(row["child"]).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "what the part has started lives on"
            time.sleep(0.01)

    def test_a_part_for_which_no_time_is_left_is_not_started(
        self, run_parts: Callable[..., dict[str, Outcome]]
    ) -> None:
        outcome = run_parts(work, left=0.01)["work"]
        assert (outcome.state, outcome.reason, outcome.recorded.rows) == ("left out", "no time was left for it", [])


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "part.jsonl"
    Record(path, time.time()).add(configuration="whole")
    with path.open("a") as file:
        file.write('{"row": {"configur')
    assert Recorded.read(path).rows == [{"configuration": "whole"}]


def test_what_is_missing_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = {"json": "json", "no_such_module": "av"}
    assert list_missing(modules) == ["av"]
    monkeypatch.setattr(command, "NEEDED", modules)
    assert command.main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"make gpu: {explain_missing(['av'])}\n")
    assert "lacks av: pip install av; without a network, pip download --dest wheels av" in said.err


def test_a_part_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "describe_installation", lambda: None)
    assert command.main(["--only", "lose"]) == 2
    assert capsys.readouterr().err.startswith("make gpu: there is no part lose; there are: machine, tests, films,")


def test_from_a_checkout_talkies_has_the_version_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_NOTED", {"talkies": "talkies", "no-such-package": "talkies"})
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "before")
    requirements.describe_installation()
    assert version("no-such-package") == talkies.__version__
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    assert (paths[0], paths[-1]) == (str(ROOT / "src"), "before")


class Folder:
    """A run's folder with a checkpoint, if the run is there."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def list_checkpoints(self) -> list[str]:
        return ["one"] if (self.run / "checkpoint").is_file() else []


@pytest.mark.parametrize(
    ("there", "refused", "expected"),
    [
        ((), False, [False]),
        (("config",), False, [False]),  # it was stopped before its first checkpoint
        (("config", "checkpoint"), False, [True]),
        (("config", "checkpoint"), True, [True, False]),
    ],
)
def test_the_pair_goes_on_from_the_checkpoints_of_an_earlier_day(
    there: tuple[str, ...],
    refused: bool,
    expected: list[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, calls = tmp_path / "run", list[bool]()

    def pretrain(library: Path, config: object, run: Path, *, resume: bool = False, **_: object) -> None:
        assert resume == run.exists()
        calls.append(resume)
        if resume and refused:
            raise LibraryError("the library lacks a film of this run")

    for name in there:
        run.mkdir(exist_ok=True)
        (run / name).touch()
    monkeypatch.setattr(pair, "pretrain", pretrain)
    monkeypatch.setattr(pair, "RunFolder", Folder)
    monkeypatch.setattr(pair.Library, "open", lambda _: SimpleNamespace(usable_films=list))
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "films.txt").write_text("128")
    record = Record(tmp_path / "record.jsonl", time.time())
    config: Any = None
    pair._train(run, config, Settings("cpu", is_dry=True, work=tmp_path), record, Progress())
    assert calls == expected
    notes = Recorded.read(tmp_path / "record.jsonl").notes
    assert notes == (
        ["The earlier run of run was started again: the library lacks a film of this run"] if refused else []
    )


def test_at_full_size_each_part_has_a_config_that_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings("cuda", is_dry=False, work=tmp_path)
    for module in (loading, pair):
        monkeypatch.setattr(module, "count_films", lambda _: 100)
    rows = [
        steps.make_config(recipe, configuration, settings)
        for recipe in ("r2plus1d18", "vit-s")
        for configuration in steps.CONFIGURATIONS
    ]
    assert {config.sampling.batch_clips for config in rows} == {128}
    assert {config.training.precision for config in rows} == {"32-true", "tf32", "bf16-mixed"}
    assert loading.make_config(settings).sampling.batch_clips == 128
    arms = [pair.make_config(arm, settings) for arm in (pair.RANDOM, pair.WITHIN)]
    assert [(arm.sampling.films_per_batch, arm.sampling.clips_per_film) for arm in arms] == [(96, 1), (12, 8)]
    towers = ("hf:video", "hf:audio")
    heads, lora = (resolve("adapt-heads", list_lines(towers, settings)) for list_lines in (list_heads, list_lora))
    assert heads.adaptation.cache
    assert (lora.adaptation.video.train, lora.sampling.batch_clips) == ("lora", 64)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tests/gpu/test_a.py::test_b[x, y] PASSED           [  2%]", ("test_a.py::test_b[x, y]", "passed")),
        ("tests/gpu/test_a.py::test_b SKIPPED (no CUDA) [  2%]", ("test_a.py::test_b", "skipped")),
        ("[gw1] [ 50%] FAILED tests/gpu/test_a.py::test_b[x, y] ", ("test_a.py::test_b[x, y]", "failed")),
        ("[gw0] [  2%] PASSED tests/gpu/test_a.py::test_b@test_a ", ("test_a.py::test_b", "passed")),
        ("tests/gpu/test_a.py::test_b[x, y] ", None),
        ("SKIPPED [3] tests/gpu/test_a.py:12: no CUDA", None),
    ],
)
def test_a_line_of_pytest_is_read(line: str, expected: tuple[str, str] | None) -> None:
    assert read_outcome(line) == expected


@pytest.mark.parametrize(
    ("card", "bf16"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_the_peak_of_a_card_is_known_or_left_out(card: str, bf16: float | None) -> None:
    assert find_peak_tflops(card, "bf16-mixed") == bf16
    assert all(peak["32-true"] <= peak["tf32"] <= peak["bf16-mixed"] for peak in PEAK_TFLOPS.values())


def test_of_a_compilers_text_the_line_that_says_what_is_missing_is_kept() -> None:
    text = (
        "backend='inductor' raised:\nRuntimeError: Failed to find C compiler. Please specify via CC variable.\n\nSet …"
    )
    found = describe_error(RuntimeError(text))
    assert found == "RuntimeError: Failed to find C compiler. Please specify via CC variable."
    assert describe_error(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")).startswith("CUDA out of mem")
    assert describe_error(AssertionError()) == "AssertionError"


def results(**changes: Any) -> dict[str, Any]:
    rows = [
        {"configuration": "bf16, channels-last", "clips_per_second": 1234.4, "mfu": 0.314, "peak_gib": 20.04},
        {"configuration": "float32, contiguous", "clips_per_second": 246.9, "mfu": None, "peak_gib": 40.0},
        {"configuration": "bf16, channels-last, compiled", "reason": "Failed to find C compiler"},
    ]
    part = {"name": "steps-vit-s", "title": "A step of `vit-s`", "state": "done", "reason": "", "seconds": 60.2}
    tests = {**part, "name": "tests", "title": "The tests", "state": "stopped", "reason": "it was stopped", "notes": []}
    tests["rows"] = [{"test": "a", "outcome": "passed"}, {"test": "b", "outcome": "failed"}]
    return {
        "schema_version": 1,
        "card": "NVIDIA H200",
        "machine": "16 cores of X",
        "date": "2026-12-01",
        "device": "cuda",
        "dry_run": False,
        "limit_seconds": 530.0,
        "seconds": 500.0,
        "parts": [tests, {**part, "rows": rows, "notes": ["128 clips a step."]}],
        **changes,
    }


def test_the_table_has_ratios_reasons_and_no_empty_columns() -> None:
    text = report.format_results(results())
    assert "Stopped after 60 s: it was stopped. 1 failed, 1 passed." in text
    assert "| configuration | clips/s | × float32, contiguous | MFU | memory, GiB | why not |" in text
    assert "| bf16, channels-last | 1,234 | 5.0 | 31% | 20.0 |  |" in text
    assert "| float32, contiguous | 247 | 1.0 |  | 40.0 |  |" in text
    assert "| bf16, channels-last, compiled |  |  |  |  | Failed to find C compiler |" in text
    assert "- 128 clips a step." in text


def test_the_page_takes_the_newest_results_of_a_gpu(tmp_path: Path) -> None:
    assert report.find_newest(tmp_path) is None
    wanted = results(date="2026-12-03")
    others = [results(), results(date="2026-12-09", dry_run=True), results(date="2026-12-08", device="cpu")]
    for number, document in enumerate([*others, wanted]):
        (tmp_path / f"gpu_{number}.json").write_text(json.dumps(document))
    assert report.find_newest(tmp_path) == wanted
    section = report.format_section(wanted)
    assert "benchmarks/results/gpu_nvidia-h200_2026-12-03.md" in section
    assert "| bf16, channels-last | 1,234 | 5.0 | 31% | 20.0 |  |" in section
    assert "The tests" not in section
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    changed = report.replace_section(page, section)
    assert report.read_section(changed) == section
    assert (changed.startswith("before\n"), changed.endswith("\nafter\n")) == (True, True)


def test_the_page_says_what_the_newest_results_say() -> None:
    """If it fails: python3 -m benchmarks.gpu --write-page."""
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.read_section(page) == report.format_section(report.find_newest())


def test_each_result_that_is_kept_is_the_page_of_its_numbers() -> None:
    for path in report.RESULTS.glob("gpu_*.json"):
        assert path.with_suffix(".md").read_text(encoding="utf-8") == report.format_results(
            json.loads(path.read_text())
        )
