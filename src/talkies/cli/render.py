"""`talkies render`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkies.cli.material_options import ActionsFolder, Backgrounds, HeldOutBackgrounds, SoundsFolder
from talkies.cli.output import Json, Sets, print_json, progress_bars, say

if TYPE_CHECKING:
    from talkies.study.materials import MaterialFolders
    from talkies.synth import RenderReport
    from talkies.synth.film_folder import OnFilm


@dataclass(frozen=True, slots=True)
class _Order:
    """Where to render how many films, how many of them unseen ones."""

    folder: Path
    films: int
    held_out: int
    seed: int
    workers: int


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(render)


def render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the films.", show_default=False)],
    *,
    films: Annotated[int, typer.Option("--films", help="How many films.")] = 8,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each film is.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the films.")] = 0,
    workers: Annotated[int, typer.Option("--workers", help="Films rendered at once.")] = 2,
    compose: Annotated[
        bool, typer.Option("--compose", help="Compose the films of real recordings, clips and backgrounds.")
    ] = False,
    sounds: SoundsFolder = None,
    actions: ActionsFolder = None,
    background: Backgrounds = None,
    held_out: Annotated[
        int, typer.Option("--held-out", min=0, help="How many unseen films of other recordings and backgrounds.")
    ] = 0,
    held_out_background: HeldOutBackgrounds = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Render films whose content is known: synthetic, or composed of real files. truth.json describes them."""
    from talkies.cli.documents import render_document
    from talkies.study.materials import MaterialFolders

    folders = MaterialFolders(sounds, actions, tuple(background or ()), tuple(held_out_background or ()))
    _check_options(compose, held_out, folders)
    order = _Order(folder, films, held_out, seed, workers)
    with progress_bars() as bars:
        done: list[Path] = []

        def on_film(path: Path) -> None:
            done.append(path)
            bars.update("films rendered", len(done), films + held_out, path.name)

        reports = _render(order, {"seconds": seconds}, sets or [], folders if compose else None, on_film)
    if json:
        print_json(render_document(folder, reports))
    else:
        _print_reports(reports)


def _check_options(compose: bool, held_out: int, folders: "MaterialFolders") -> None:
    """Check that the options belong together."""
    from talkies.core import UsageError
    from talkies.study.materials import MaterialFolders

    if not compose and (held_out or folders != MaterialFolders()):
        raise UsageError("--sounds, --actions, --background and --held-out are for composed films; add --compose")
    if bool(folders.held_out_backgrounds) != bool(held_out and folders.backgrounds):
        raise UsageError(
            "unseen films and those to learn from each need backgrounds; give --held-out, --background and "
            "--held-out-background together"
        )


def _render(
    order: _Order, values: dict[str, Any], sets: list[str], folders: "MaterialFolders | None", on_film: "OnFilm"
) -> "list[RenderReport]":
    """Render the films; composed ones if there are folders of materials."""
    from talkies.config import apply_overrides, check
    from talkies.synth import ComposedConfig, Side, SynthConfig, render_composed_films, render_composed_split
    from talkies.synth import render_films as render_synthetic_films

    if folders is None:
        synth = check(SynthConfig, apply_overrides(values, sets, SynthConfig), "render")
        return [render_synthetic_films(order.folder, order.films, synth, order.seed, order.workers, on_film=on_film)]
    config = check(ComposedConfig, apply_overrides(values, sets, ComposedConfig), "render")
    more: dict[str, Any] = {"seed": order.seed, "workers": order.workers, "on_film": on_film}
    if not order.held_out:
        return [render_composed_films(order.folder, order.films, config, folders.read_all(), **more)]
    seen, unseen = folders.read_split(order.seed)
    sides = Side(order.films, seen), Side(order.held_out, unseen)
    return list(render_composed_split(order.folder, sides, config, **more))


def _print_reports(reports: "list[RenderReport]") -> None:
    from talkies.core import format_count

    for report in reports:
        films_in = f"{format_count(len(report.films), 'film')} in {report.folder}"
        say(f"{films_in} ({report.reused} already there), truth in truth.json")
        if report.without_theme:
            say(f"{format_count(len(report.without_theme), 'film')} have no theme: their background is silent there")
