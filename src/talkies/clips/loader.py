"""Load the batches of a plan, in worker processes or in this one."""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch.utils.data import DataLoader, Dataset

from talkies.clips.source import ClipSource, collate
from talkies.config import Config
from talkies.core import ClipBatch, ClipRequest, FilmId, TalkiesError
from talkies.sampling import BatchPlan


class LoaderConfig(Config):
    """`workers` processes decode (0: this one), each `prefetch` batches ahead."""

    workers: Annotated[int, Field(ge=0, le=256)] = 2
    prefetch: Annotated[int, Field(ge=1, le=64)] = 2


def loader(
    source: ClipSource, plan: BatchPlan, steps: range, config: LoaderConfig, rank: int = 0, world_size: int = 1
) -> Iterator[ClipBatch]:
    """Yield this rank's share of the batches of `steps`, in order; the number of workers changes nothing in them.

    The films of a batch are dealt to the ranks in runs, so that a film's clips stay together.
    """
    numbers = {film_id: number for number, film_id in enumerate(plan.films.film_ids)}
    loading: DataLoader[ClipBatch | TalkiesError] = DataLoader(
        _Batches(source, plan, steps, rank, world_size, numbers),
        batch_size=None,
        shuffle=False,
        num_workers=min(config.workers, len(steps)),
        prefetch_factor=config.prefetch if config.workers and steps else None,
        multiprocessing_context="forkserver" if config.workers and steps else None,
        worker_init_fn=_one_thread,
        pin_memory=torch.cuda.is_available(),
    )
    for batch in loading:
        if isinstance(batch, TalkiesError):
            raise batch
        yield batch


class _Batches(Dataset["ClipBatch | TalkiesError"]):
    """The batches of a plan by their place in `steps`; an error is handed over, for PyTorch would remake it wrongly."""

    def __init__(
        self, source: ClipSource, plan: BatchPlan, steps: range, rank: int, world_size: int, numbers: dict[FilmId, int]
    ) -> None:
        self._source, self._plan, self._steps = source, plan, steps
        self._rank, self._world_size, self._numbers = rank, world_size, numbers

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, place: int) -> ClipBatch | TalkiesError:
        requests: tuple[ClipRequest, ...] = self._plan.batch(self._steps[place])
        share = len(requests) // self._world_size
        mine = requests[self._rank * share : (self._rank + 1) * share]
        try:
            return collate(self._source.read_all(mine), self._numbers)
        except TalkiesError as error:
            return error


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
