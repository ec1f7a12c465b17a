"""The processes that train together (ranks): started here or by `torchrun` or Ray, and ended together."""

from talkies.training.ranks.group import RankGroup

__all__ = ["RankGroup"]
