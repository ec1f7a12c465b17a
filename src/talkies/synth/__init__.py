"""Seeded synthetic films whose pixels and sounds carry known truth."""

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
    "render_film",
    "render_films",
    "render_sync_film",
    "generate_script",
]
