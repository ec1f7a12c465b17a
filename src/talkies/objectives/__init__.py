"""Contrastive objectives: the within-film and which-film parts of audio-visual InfoNCE."""

from talkies.objectives.config import ObjectiveConfig, WeightPoint
from talkies.objectives.contrastive import ContrastiveObjective, ContrastiveTerms, ObjectiveOutput, contrastive_terms
from talkies.objectives.pairs import Pairs, Relation
from talkies.objectives.scores import Scores, scores_of
from talkies.objectives.space import alignment, uniformity

__all__ = [
    "ContrastiveObjective",
    "ContrastiveTerms",
    "ObjectiveConfig",
    "ObjectiveOutput",
    "Pairs",
    "Relation",
    "Scores",
    "WeightPoint",
    "alignment",
    "contrastive_terms",
    "scores_of",
    "uniformity",
]
