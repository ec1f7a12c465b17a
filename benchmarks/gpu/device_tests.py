"""The tests that need a CUDA device, run by pytest; its lines are read as they come, so none is lost at the limit."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from gpu.records import Record, shorten_text
from gpu.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"pytest": "pytest"}
_STATES = "PASSED|FAILED|ERROR|SKIPPED"
_ALONE = re.compile(rf"(?P<test>tests/gpu/.+?::.+?) (?P<state>{_STATES})\b")
_BESIDE = re.compile(rf"\[gw\d+\] .*?(?P<state>{_STATES}) (?P<test>tests/gpu/.+?::[^@]+)")
_SUMMARY = re.compile(r"=+ .* in [\d.]+s|(FAILED|ERROR|SKIPPED) .*( - |: )")
_MOST_PROCESSES = 4  # each has a CUDA context of its own


def run_tests(settings: Settings, record: Record) -> None:
    """Report each test that passes, fails or is skipped."""
    command = [
        *(sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-v", "--tb=short", "-p", "no:cacheprovider"),
        *("-W", "default"),  # a warning of another version of a package is no failure of the device
        *("--continue-on-collection-errors", "--durations=0", "--durations-min=1"),
    ]
    if settings.device == "cuda" and importlib.util.find_spec("xdist"):
        command += ["--numprocesses", str(_MOST_PROCESSES), "--dist", "worksteal"]
    environment = {**os.environ, "TALKIES_GPU_TESTS_ON": settings.device}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    seen = set[str]()
    for line in process.stdout:
        print(line, end="", flush=True)  # into the log
        outcome = read_outcome(line)
        if outcome and outcome[0] not in seen:
            seen.add(outcome[0])
            record.add(test=outcome[0], outcome=outcome[1])
        if _SUMMARY.match(line):
            record.note(shorten_text(line.strip("= \n")))
    if process.wait():
        raise RuntimeError(f"pytest ended with status {process.returncode}; the tests or the log say why")


def read_outcome(line: str) -> tuple[str, str] | None:
    """Return a test's name and outcome from a line of pytest's, also where several processes run tests."""
    found = _BESIDE.match(line) or _ALONE.match(line)
    return (found["test"].strip().removeprefix("tests/gpu/"), found["state"].lower()) if found else None
