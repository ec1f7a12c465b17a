"""Output shared by all verbs: the JSON option, tables on stdout, progress bars and messages on stderr.

Names and messages may hold anything that a file name or a broken file holds: control characters are escaped here, so
that none reaches the terminal.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from talkies.core import UsageError, escape_controls, escape_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]

LibraryFolder = Annotated[str, typer.Option("--library", help="The library's folder, or its URL.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set one value.")]
# The longer name is for `torchrun`, which takes `--run` for one of its own.
RunOption = Annotated[Path, typer.Option("--run", "--run-folder", help="The run's folder.", show_default=False)]

# A verb that uses a model takes both of these, and gives them to `choose_model`.
RunChoice = Annotated[Path | None, typer.Option("--run", "--run-folder", help="The run's folder.", show_default=False)]
RunOfSet = Annotated[
    Path | None,
    typer.Option("--run", "--run-folder", help="The run whose embeddings to use, if there are several models'."),
]
ModelChoice = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ADDRESS",
        help="Public encoders instead of a run: hf:FOLDER_OR_ID, or video=ADDRESS,audio=ADDRESS.",
        show_default=False,
    ),
]

messages = Console(stderr=True, highlight=False, emoji=False)


def _trust_code(wanted: bool) -> None:
    """Let this process and its workers run the code that a run or library names."""
    if wanted:
        os.environ["TALKIES_TRUST_CODE"] = "1"


TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        callback=_trust_code,
        help="Run the code that the run or library names (python:MODULE:FUNCTION).",
    ),
]


def choose_model(run: Path | None, model: str | None) -> Path | str:
    """Return the run's folder, or the address of public encoders: what `--run` or `--model` named.

    Raises:
        UsageError: if neither or both were given, or `--model` names no address.
    """
    chosen = choose_optional_model(run, model)
    if chosen is None:
        raise UsageError("there is no model; name a run with --run, or public encoders with --model")
    return chosen


def choose_optional_model(run: Path | None, model: str | None) -> Path | str | None:
    """Return what `--run` or `--model` named, as `choose_model`; None if neither was given.

    Raises:
        UsageError: if both were given, or `--model` names no address.
    """
    if run is not None and model is not None:
        raise UsageError(f"--run {run} and --model {model} are two models; name one of them")
    if model is None:
        return run
    from talkies.runs import is_model_address

    if not is_model_address(model):
        raise UsageError(
            f"--model takes the address of public encoders, such as hf:FOLDER_OR_ID or "
            f"video=ADDRESS,audio=ADDRESS, got '{model}'; a run is named with --run"
        )
    return model


def say_model(model: str | Path, stamp: str, license: str | None = None) -> None:  # noqa: A002
    """Print on stderr which model a verb used.

    Args:
        model: the run's folder, or the address of public encoders.
        stamp: identifies the weights.
        license: the licence of the weights, empty if it is not stated; None for a run.
    """
    terms = "" if license is None else f", licence: {license or 'not stated'}"
    say(f"model: {model} (stamp {stamp}{terms})")


def print_json(document: dict[str, Any]) -> None:
    r"""Print the JSON document of a verb; characters that the output's encoding lacks are written as `\u00e9`."""
    text = escape_json(json.dumps(document, indent=2, ensure_ascii=False))
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")  # there is no stdout if the caller closed it
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=2)
    print(text)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """Print a table; the columns in `numbers` are right-aligned."""
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(escape_controls(cell)) for cell in row))  # no markup: a file name may contain brackets
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:  # in a file or a pipe, lines are never folded
        console = Console(highlight=False, emoji=False, width=160)
    console.print(escape_controls(title), markup=False, soft_wrap=True, style="italic")
    console.print(table)


def print_text(text: str) -> None:
    """Print lines on stdout."""
    print(escape_controls(text, keep_newlines=True))


def say(sentence: str) -> None:
    """Print a message on stderr."""
    messages.print(escape_controls(sentence, keep_newlines=True), markup=False, soft_wrap=True)


def say_failure(sentence: str) -> None:
    """Print why a command fails on stderr, in one line."""
    line = " ".join(part.strip() for part in sentence.split("\n"))
    print(f"talkies: {escape_controls(line)}", file=sys.stderr, flush=True)


def join_names(names: Iterable[str]) -> str:
    """Return names as a list for a message."""
    return ", ".join(map(escape_controls, names))


class Bars:
    """Progress bars by name; a bar appears when its total is first known."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._tasks = progress, dict[str, TaskID]()

    @property
    def visible(self) -> bool:
        """Whether any bar is shown."""
        return bool(self._tasks)

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done, followed by a note."""
        self._progress.start()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, note="")
        self._progress.update(self._tasks[name], completed=done, total=total, note=escape_controls(note))


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Yield progress bars on stderr, shown while the block runs (on a terminal)."""
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=24),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[note]}", markup=False),
    )
    progress = Progress(*columns, console=messages)
    bars = Bars(progress)
    try:
        yield bars
    finally:
        if bars.visible:
            progress.stop()
