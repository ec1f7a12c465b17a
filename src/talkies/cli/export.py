"""`talkies export`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, RunOption, print_json, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)


def export(
    run: RunOption,
    to: Annotated[Path, typer.Option("--to", help="The folder that the files go into.", show_default=False)],
    step: Annotated[int | None, typer.Option("--step", help="The checkpoint; without it the newest.")] = None,
    json: Json = False,
) -> None:
    """Write a run's two encoders as safetensors, R(2+1)D-18 and ResNet-18 under torchvision's names."""
    from talkies.cli.documents import export_document
    from talkies.models import export_weights

    exported = export_weights(run, to, step)
    if json:
        print_json(export_document(exported))
    else:
        say(f"{exported.video} and {exported.audio}, of model {exported.stamp}")
