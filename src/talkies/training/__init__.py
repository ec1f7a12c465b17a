"""Pre-training: recipes, the loop, optimiser and schedule, checkpoints, metrics."""

from talkies.training.config import OptimiserConfig, RunConfig, TrainingConfig
from talkies.training.pretrain import PretrainReport, Progress, pretrain
from talkies.training.recipes import recipe_names, resolve

__all__ = [
    "OptimiserConfig",
    "PretrainReport",
    "Progress",
    "RunConfig",
    "TrainingConfig",
    "pretrain",
    "recipe_names",
    "resolve",
]
