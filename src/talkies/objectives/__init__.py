"""Contrastive objectives: audio-visual InfoNCE, split into within-film and which-film terms, and other pair losses."""

from talkies.objectives.config import ObjectiveConfig, WeightPoint
from talkies.objectives.contrastive import (
    ContrastiveObjective,
    ContrastiveTerms,
    ObjectiveOutput,
    compute_contrastive_terms,
)
from talkies.objectives.film_queue import BatchKeys, FilmQueue, gather_embeddings
from talkies.objectives.pairs import ClipPairs, PairMasks
from talkies.objectives.recurrences import Recurrences
from talkies.objectives.scores import Scores, compute_scores
from talkies.objectives.space import alignment, uniformity

__all__ = [
    "BatchKeys",
    "ClipPairs",
    "ContrastiveObjective",
    "ContrastiveTerms",
    "FilmQueue",
    "ObjectiveConfig",
    "ObjectiveOutput",
    "PairMasks",
    "Recurrences",
    "Scores",
    "WeightPoint",
    "alignment",
    "compute_contrastive_terms",
    "compute_scores",
    "gather_embeddings",
    "uniformity",
]
