"""Pre-training: recipes, the loop, optimiser and schedule, checkpoints, metrics."""

from talkies.training.config import OptimiserConfig, RunConfig, TrainingConfig
from talkies.training.cost import Cost, cost
from talkies.training.pretrain import PretrainReport, Progress, pretrain
from talkies.training.recipes import recipe_names, resolve

__all__ = [
    "Cost",
    "OptimiserConfig",
    "PretrainReport",
    "Progress",
    "RunConfig",
    "TrainingConfig",
    "cost",
    "pretrain",
    "recipe_names",
    "resolve",
]
