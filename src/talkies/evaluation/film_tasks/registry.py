"""All film tasks by name."""

from talkies.evaluation.film_tasks.base import FilmTask
from talkies.evaluation.film_tasks.concepts import SyntheticConceptsTask
from talkies.evaluation.film_tasks.matchcut import MatchCutTask
from talkies.evaluation.film_tasks.retrieval import RetrievalTask
from talkies.evaluation.film_tasks.scenes import ScenesTask
from talkies.evaluation.film_tasks.sync import SyncTask

FILM_TASKS: dict[str, FilmTask] = {
    task.name: task for task in (SyntheticConceptsTask(), RetrievalTask(), SyncTask(), MatchCutTask(), ScenesTask())
}
