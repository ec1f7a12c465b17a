"""Blocks of the docs are run: commands in this very process, on small films, with little training."""

import io
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from typing import Any

import pytest
import typer
from blocks import Block

from talkies.cli.main import app, main

LEAST = ("training.steps=2", "sampling.films_per_batch=2", "sampling.clips_per_film=2", "loader.workers=0")
LATEST_SECONDS = 6.0  # the films here last twelve
SMALLER = {"--at": lambda value: f"{min(float(value), LATEST_SECONDS):g}", "--seconds": lambda _: "1"}
MORE = {
    "pretrain": [part for each in LEAST for part in ("--set", each)],
    "cost": [*(part for each in LEAST for part in ("--set", each)), "--seconds", "1"],
    "doctor": ["--workers", "1"],
    "serve": ["--port", "0"],
    "render": ["--films", "1", "--seconds", "4"],
}
SMALLER_PYTHON = {'"training.steps=100"': ", ".join(f'"{each}"' for each in LEAST), "at_seconds=120": "at_seconds=6"}


def options_of(verb: str) -> set[str]:
    """Return the options that a verb takes.

    Raises:
        KeyError: if there is no such verb.
    """
    command: Any = typer.main.get_command(app)
    return {name for each in command.commands[verb].params for name in (*each.opts, *each.secondary_opts)}


def talkies_of(words: list[str]) -> list[str] | None:
    """Return the arguments of `talkies` in a command, also behind variables and `torchrun`; nothing of another one."""
    plain = [word.strip("[]") for word in words]
    for begin, word in enumerate(plain):
        if word == "talkies" or word.endswith("/talkies"):
            return plain[begin + 1 :]
    return None


def check_options(words: list[str]) -> None:
    """Do nothing if a command is no `talkies`, or one whose verb and options there are."""
    arguments = talkies_of(words)
    if not arguments or arguments[0].startswith("-"):
        return
    verb, *rest = arguments
    wrong = {word.partition("=")[0] for word in rest if word.startswith("-") and not _is_number(word)}
    assert wrong - options_of(verb) - {"--help"} == set(), f"{' '.join(words)}: no such options"


def call(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command of the docs, made smaller; it must succeed."""
    check_options(words)
    arguments = talkies_of(words)
    assert arguments is not None, f"{' '.join(words)} is no talkies; mark its block as not run"
    monkeypatch.setattr(sys, "argv", ["talkies", *_smaller(arguments)])
    out, err = io.StringIO(), io.StringIO()
    opening = _ended_when_opened(out) if arguments[0] == "serve" else nullcontext()
    with redirect_stdout(out), redirect_stderr(err), opening, pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0, f"{' '.join(words)}: {err.getvalue()}"


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block of Python in the namespace of its page."""
    text = block.text
    for large, small in SMALLER_PYTHON.items():
        text = text.replace(large, small)
    with redirect_stdout(io.StringIO()):
        exec(compile("\n" * block.line + text, block.page, "exec"), names)


def _smaller(arguments: list[str]) -> list[str]:
    smaller = list(arguments)
    for place, word in enumerate(arguments[:-1]):
        if word == "--at" or (word == "--seconds" and arguments[0] == "cost"):
            smaller[place + 1] = SMALLER[word](arguments[place + 1])
    return [*smaller, *MORE.get(arguments[0], [])]


@contextmanager
def _ended_when_opened(out: io.StringIO) -> Iterator[None]:
    """Open the page whose URL `serve` prints, then press Ctrl-C, while the block serves."""
    opened, left = list[bytes](), threading.Event()

    def open_page() -> None:
        while not left.wait(0.05):
            url = next((word for word in out.getvalue().split() if word.startswith("http://")), None)
            if url is None:
                continue
            try:
                with urllib.request.urlopen(url) as page:
                    opened.append(page.read())
            finally:
                signal.raise_signal(signal.SIGINT)
            return

    visitor = threading.Thread(target=open_page)
    visitor.start()
    try:
        yield
    finally:
        left.set()
        visitor.join()
    assert opened
    assert b"<title>" in opened[0]


def _is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdigit()
