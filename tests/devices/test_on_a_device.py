"""Runs `cases/on_*.py` in processes of their own: their accelerator would be one of every other test's process too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("names", [("on_steps",), ("on_faults", "on_encoding", "on_public_encoders")], ids="+".join)
def test_what_runs_on_a_device_waits_for_nothing_and_mixes_nothing_in(names: tuple[str, ...]) -> None:
    kinds = ("encoding", "faults", "public_encoders", "steps")
    assert sorted(CASES.glob("on_*.py")) == sorted(CASES / f"on_{kind}.py" for kind in kinds)
    files = [str(CASES / f"{name}.py") for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=540, check=False)
    lines = [line for line in done.stdout.splitlines() if "registered at" not in line]
    assert done.returncode == 0, "\n".join(lines[-200:]) + done.stderr[-2000:]
    assert " passed" in lines[-1]
    assert "skipped" not in lines[-1]
