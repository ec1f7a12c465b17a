"""Render synthetic films from a seed, with ground truth for every picture and sound."""

from talkies.synth.concepts import CONCEPTS, Concept
from talkies.synth.render import RenderReport, render_film, render_films
from talkies.synth.script import FilmScript, Recordings, Shot, SynthConfig, generate_script
from talkies.synth.sync import render_sync_film

__all__ = [
    "CONCEPTS",
    "Concept",
    "FilmScript",
    "Recordings",
    "RenderReport",
    "Shot",
    "SynthConfig",
    "generate_script",
    "render_film",
    "render_films",
    "render_sync_film",
]
