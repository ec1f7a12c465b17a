"""Composed films: real recordings and clips under the marks of a real film (background, grade, grain, theme)."""

from talkies.synth.composed.disjoint import check_disjoint
from talkies.synth.composed.materials import Materials
from talkies.synth.composed.render import render_composed_film, render_composed_films
from talkies.synth.composed.script import ComposedConfig, ComposedScript, ComposedShot, generate_composed_script
from talkies.synth.composed.split import Side, render_composed_split

__all__ = [
    "ComposedConfig",
    "ComposedScript",
    "ComposedShot",
    "Materials",
    "Side",
    "check_disjoint",
    "generate_composed_script",
    "render_composed_film",
    "render_composed_films",
    "render_composed_split",
]
