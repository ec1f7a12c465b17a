"""The field's data sets, each read as its publishers lay it on disk."""

from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split

__all__ = ["DataSet", "Example", "Published", "Split"]
