"""The `talkies` command: its verbs, and the one place where an error becomes a sentence and an exit status."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from talkies.cli import (
    analyse,
    audit,
    cost,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    films,
    ingest,
    pretrain,
    render,
    repeats,
    results,
    search,
    serve,
    study,
)  # fmt: skip
from talkies.cli.output import say_failure
from talkies.cli.streams import prepare_streams, use_utf8_paths
from talkies.core import ReportedError, UsageError, explain_failure, is_unexpected
from talkies.core.failures import INTERRUPTED, STOPPED

app = typer.Typer(
    name="talkies",
    help="Learn what pictures and sounds mean from films nobody labelled, and search them.",
    pretty_exceptions_enable=False,
)
_FIRST = (demo, render, ingest, films, analyse, doctor, cost, pretrain, export)
for verb in (*_FIRST, evaluate, results, audit, study, embed, search, repeats, serve):
    verb.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"talkies {version('talkies')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def talkies(
    context: typer.Context,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn what pictures and sounds mean from films nobody labelled, and search them."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line and exit with 0 (done), 1 (the work failed) or 2 (a wrong argument or an unusable input)."""
    use_utf8_paths()
    prepare_streams()
    try:
        status = app(standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")
        _leave(f"{message[:1].lower()}{message[1:]}; see: talkies --help", 2, shared=True)
    except (typer.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except ReportedError as error:
        if os.environ.get("TALKIES_TRACEBACK") and error.__cause__ and is_unexpected(error.__cause__):
            raise
        sys.exit(error.status)
    except Exception as error:  # the last line: a bug of ours must not end in a page of traceback
        if os.environ.get("TALKIES_TRACEBACK") and is_unexpected(error):
            raise
        sentence, status = explain_failure(error)
        _leave(sentence, status, shared=isinstance(error, UsageError))
    if status == INTERRUPTED:
        _leave(STOPPED, status)
    sys.exit(status if isinstance(status, int) else 0)


def _leave(sentence: str, status: int, *, shared: bool = False) -> NoReturn:
    """Print a sentence on stderr and exit.

    Args:
        sentence: what went wrong.
        status: the exit status.
        shared: whether all processes that `torchrun` started here fail alike: then the first one says it.
    """
    if not shared or os.environ.get("LOCAL_RANK", "0") == "0":
        say_failure(sentence)
    sys.exit(status)
