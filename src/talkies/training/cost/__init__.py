"""What a run would take on this machine: measured in short trials, and what to change if it is too much."""

from talkies.training.cost.estimate import estimate_cost
from talkies.training.cost.values import Cost, Stretch

__all__ = ["Cost", "Stretch", "estimate_cost"]
