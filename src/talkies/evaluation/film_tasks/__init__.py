"""What tasks over whole films share: the films that lists name, their shots' rows, a classifier, the lists' readers."""

from talkies.evaluation.film_tasks.films import (
    Film,
    FilmFacts,
    OnFilm,
    chosen_films,
    films_by_imdb_id,
    films_in,
    judged,
    protocol_of,
)
from talkies.evaluation.film_tasks.fitting import Fitted, average_precision, fit_on_validation
from talkies.evaluation.film_tasks.shots import ShotRows, TimedShot, check_shots, cosines, encode_shots

__all__ = [
    "Film",
    "FilmFacts",
    "Fitted",
    "OnFilm",
    "ShotRows",
    "TimedShot",
    "average_precision",
    "check_shots",
    "chosen_films",
    "cosines",
    "encode_shots",
    "films_by_imdb_id",
    "films_in",
    "fit_on_validation",
    "judged",
    "protocol_of",
]
