"""Pre-training: recipes, the training loop, optimiser and schedule, checkpoints, metrics, and cost estimates."""

from talkies.training.config import OptimiserConfig, RunConfig, TrainingConfig
from talkies.training.cost import Cost, estimate_cost
from talkies.training.pretrain import PretrainReport, Progress, pretrain
from talkies.training.ranks.ray_train import pretrain_on_ray
from talkies.training.recipes import list_recipes, resolve

__all__ = [
    "Cost",
    "OptimiserConfig",
    "PretrainReport",
    "Progress",
    "RunConfig",
    "TrainingConfig",
    "estimate_cost",
    "list_recipes",
    "pretrain",
    "pretrain_on_ray",
    "resolve",
]
