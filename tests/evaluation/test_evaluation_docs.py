"""docs/evaluation.md says what is so."""

import re
from pathlib import Path

import pytest

from talkies.evaluation import TASKS
from talkies.evaluation.transfer import PROTOCOLS, Protocol, resolve_protocol

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`talkies evaluate (\S+) --run RUN --data DIR([^`]*)`", TEXT)


def test_every_task_and_protocol_is_there() -> None:
    folded = TEXT.replace("`kinetics400` (600, 700)", "`kinetics400` `kinetics600` `kinetics700`")
    assert [task for task in TASKS if f"`{task}`" not in folded] == []
    assert [name for name in PROTOCOLS if f"| `{name}`" not in TEXT] == []


def test_code_blocks_run() -> None:
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "docs/evaluation.md", "exec"), {})


@pytest.mark.parametrize(("task", "rest"), COMMANDS)
def test_the_command_of_a_published_protocol_is_one(task: str, rest: str) -> None:
    assert task in TASKS
    name = re.search(r"--protocol (\S+)", rest)
    sets = [value.strip("'") for value in re.findall(r"--set ('[^']*'|\S+)", rest)]
    assert isinstance(resolve_protocol(name[1] if name else "linear", sets), Protocol)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8
