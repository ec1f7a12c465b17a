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
from talkies.cli.streams import prepare_streams, use_utf8_paths
from talkies.core import TalkiesError, describe_os_error, escape_controls, path_to_text
from talkies.core.extras import explain_missing_package

app = typer.Typer(
    name="talkies",
    help="Learn what pictures and sounds mean from films nobody labelled, and search them.",
    pretty_exceptions_enable=False,
)
_FIRST = (demo, render, ingest, films, analyse, doctor, cost, pretrain, export)
for verb in (*_FIRST, evaluate, results, audit, study, embed, search, repeats, serve):
    verb.register(app)


_INTERRUPTED = 130  # the status that a shell gives a program stopped by Ctrl-C


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
        _leave(f"{message[:1].lower()}{message[1:]}; see: talkies --help", 2)
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    except TalkiesError as error:
        _leave(str(error), error.exit_status)
    except OSError as error:
        where = f"{path_to_text(error.filename)}: " if isinstance(error.filename, str) else ""
        _leave(f"{where}{describe_os_error(error)}", 1)
    except Exception as error:  # the last line: a bug of ours must not end in a page of traceback
        if os.environ.get("TALKIES_TRACEBACK"):
            raise
        _report_unexpected(error)
    if status == _INTERRUPTED:
        _leave("stopped; finished work is kept: run the command again to continue (pretrain with --resume)", status)
    sys.exit(status if isinstance(status, int) else 0)


def _report_unexpected(error: Exception) -> NoReturn:
    """Exit with the extra that installs a missing package, or else with a request to report a bug."""
    sentence = explain_missing_package(error) if isinstance(error, ModuleNotFoundError) else None
    if sentence:
        _leave(sentence, 2)
    bug = f"{type(error).__name__}: {error}"
    _leave(f"bug in talkies: {bug}; please report it; TALKIES_TRACEBACK=1 shows where", 1)


def _leave(sentence: str, status: int) -> NoReturn:
    line = " ".join(part.strip() for part in sentence.split("\n"))
    print(f"talkies: {escape_controls(line)}", file=sys.stderr)
    sys.exit(status)
