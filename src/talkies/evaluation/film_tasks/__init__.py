"""Tasks over whole films: retrieval, synchrony, rendered concepts, match cuts and scene boundaries."""

from talkies.evaluation.film_tasks.base import FilmTask
from talkies.evaluation.film_tasks.registry import FILM_TASKS

__all__ = [
    "FILM_TASKS",
    "FilmTask",
]
