"""Contrastive objectives: the within-film and which-film parts of audio-visual InfoNCE."""

from talkies.objectives.contrastive import (
    ContrastiveObjective,
    ContrastiveTerms,
    ObjectiveConfig,
    ObjectiveOutput,
    contrastive_terms,
)

__all__ = ["ContrastiveObjective", "ContrastiveTerms", "ObjectiveConfig", "ObjectiveOutput", "contrastive_terms"]
