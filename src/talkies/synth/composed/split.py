"""Compose films to learn from and unseen films that share no file."""

from dataclasses import dataclass
from pathlib import Path

from talkies.synth.composed.disjoint import check_disjoint, check_disjoint_scripts
from talkies.synth.composed.materials import Materials
from talkies.synth.composed.render import render_composed_films
from talkies.synth.composed.script import ComposedConfig, generate_composed_script
from talkies.synth.film_folder import OnFilm, RenderReport, check_counts, number_films

_UNSEEN_SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """How many films to compose, and of which files."""

    films: int
    materials: Materials


def render_composed_split(
    folder: Path,
    sides: tuple[Side, Side],
    config: ComposedConfig,
    seed: int = 0,
    *,
    workers: int = 1,
    on_film: OnFilm | None = None,
) -> tuple[RenderReport, RenderReport]:
    """Compose films to learn from in `seen/` and unseen films in `unseen/`; return the report of each.

    Args:
        folder: where to write.
        sides: the films to learn from, and the unseen ones.
        config: how the films are made.
        seed: the seed of everything random in them; unseen films get others than films to learn from.
        workers: how many processes render.
        on_film: called after each film with its path.

    Raises:
        UsageError: if a recording, a clip or a background is on both sides (before any film is made), or as
            `render_composed_films`.
        MediaError: if a file cannot be used.
        SourceError: if a file cannot be read.
    """
    seeds = seed, seed + _UNSEEN_SEED
    folders = folder / "seen", folder / "unseen"
    for side in sides:
        check_counts(side.films, workers)
    seen_scripts, unseen_scripts = (
        [generate_composed_script(*numbered, config, side.materials) for numbered in number_films(side.films, own)]
        for side, own in zip(sides, seeds, strict=True)
    )
    check_disjoint_scripts(seen_scripts, unseen_scripts, *folders)
    seen, unseen = (
        render_composed_films(path, side.films, config, side.materials, own, workers=workers, on_film=on_film)
        for path, side, own in zip(folders, sides, seeds, strict=True)
    )
    check_disjoint(*folders)
    return seen, unseen
