"""The options that name the files of composed films."""

from pathlib import Path
from typing import Annotated

import typer

SoundsFolder = Annotated[
    Path | None, typer.Option("--sounds", help="Folder of labelled recordings: ESC's layout, or a folder a class.")
]
ActionsFolder = Annotated[
    Path | None, typer.Option("--actions", help="Folder of labelled action clips, a folder a class.")
]
Backgrounds = Annotated[
    list[Path] | None, typer.Option("--background", metavar="FILE", help="Film behind composed films.")
]
HeldOutBackgrounds = Annotated[
    list[Path] | None, typer.Option("--held-out-background", metavar="FILE", help="Film behind unseen films.")
]
