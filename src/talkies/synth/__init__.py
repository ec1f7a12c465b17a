"""Render synthetic films from a seed, with ground truth for every picture and sound."""

from talkies.synth.composed import (
    ComposedConfig,
    ComposedScript,
    Materials,
    Side,
    check_disjoint,
    generate_composed_script,
    render_composed_film,
    render_composed_films,
    render_composed_split,
)
from talkies.synth.concepts import CONCEPTS, Concept
from talkies.synth.film_folder import RenderReport
from talkies.synth.render import render_film, render_films
from talkies.synth.script import FilmScript, Recordings, Shot, SynthConfig, generate_script
from talkies.synth.sync import render_sync_film

__all__ = [
    "CONCEPTS",
    "ComposedConfig",
    "ComposedScript",
    "Concept",
    "FilmScript",
    "Materials",
    "Recordings",
    "RenderReport",
    "Shot",
    "Side",
    "SynthConfig",
    "check_disjoint",
    "generate_composed_script",
    "generate_script",
    "render_composed_film",
    "render_composed_films",
    "render_composed_split",
    "render_film",
    "render_films",
    "render_sync_film",
]
