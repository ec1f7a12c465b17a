"""How one data set is read: the function that reads it, and the options that the function accepts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from talkies.evaluation.datasets.dataset import DataSet


@dataclass(frozen=True, slots=True)
class DataSetReader:
    """A function from a data set's folder to its `DataSet`, with the names of its keyword options.

    In a protocol the options are written `data.NAME`, such as `data.group`.
    """

    read: Callable[..., DataSet]
    options: tuple[str, ...] = ()

    def __call__(self, root: Path, **options: object) -> DataSet:
        """Return the data set in a folder.

        Args:
            root: the data set's folder.
            options: values of some of this reader's options.

        Raises:
            TypeError: if an option is not one of this reader's.
            UsageError: if the data set is incomplete or its lists are wrong.
        """
        if unknown := sorted(set(options) - set(self.options)):
            raise TypeError(f"unknown option '{unknown[0]}'; accepted: {', '.join(self.options) or 'none'}")
        return self.read(root, **options)
