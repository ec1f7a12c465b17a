"""The two ways to name a model on the command line: the folder of a run, or the address of public encoders."""

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="ADDRESS", help="Public encoders: hf:FOLDER_OR_ID, or video=ADDRESS,audio=ADDRESS."
    ),
]
# The longer name is for `torchrun`, which takes `--run` for one of its own.
OptionalRun = Annotated[Path | None, typer.Option("--run", "--run-folder", help="The run's folder.")]
RunOfSet = Annotated[Path | None, typer.Option("--run", help="The run whose embeddings to use, if there are several.")]


def choose_model(run: Path | None, model: str | None) -> str | Path | None:
    """Return the model that one of the two options names; None without one.

    Raises:
        UsageError: if both are given, or `--model` is no address of public encoders.
    """
    from talkies.core import UsageError
    from talkies.runs import is_model_address

    if run is not None and model is not None:
        raise UsageError("--run and --model name two models; give one of them")
    if model is not None and not is_model_address(model):
        raise UsageError(
            f"--model takes the address of public encoders, such as hf:FOLDER or video=hf:FOLDER,audio=hf:FOLDER, got "
            f"'{model}'; name the folder of a run with --run"
        )
    return run if model is None else model


def require_model(run: Path | None, model: str | None) -> str | Path:
    """Return the model that one of the two options names.

    Raises:
        UsageError: as `choose_model`, and if neither is given.
    """
    from talkies.core import UsageError

    chosen = choose_model(run, model)
    if chosen is None:
        raise UsageError("no model is named; name a run with --run RUN, or public encoders with --model ADDRESS")
    return chosen
