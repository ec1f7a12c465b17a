"""The momentum encoder and the queues of its keys, one for each film (MoCo, He et al. 2020, arXiv:1911.05722).

Its weights are a moving average of the trained ones. They take the place of the model's while a batch's keys are
encoded, so the encoder needs the memory of its weights and no more.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from talkies.core import ClipStarts
from talkies.distributed import rank
from talkies.objectives import BatchKeys, FilmQueue, ObjectiveConfig, gather_embeddings
from talkies.training.config import RunConfig
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.system import View

_WEIGHTS, _QUEUE = "model.", "queue."


class MomentumKeys:
    """Encodes the keys of a batch, and keeps those of the first view in the queues of their films.

    Every rank has the same queues, because it appends the keys of all ranks.
    """

    def __init__(self, model: nn.Module, config: ObjectiveConfig) -> None:
        assert config.queue_clips_per_film is not None
        self._model = model
        self._encoder = ExponentialMovingAverage(model, config.momentum, ramps=False)
        self._queue = FilmQueue(config.queue_clips_per_film)
        self._looks_up_batch = config.queue_negatives == "batch_films"

    def encode(self, encode: Callable[[], Sequence[View]], starts: ClipStarts | None = None) -> BatchKeys:
        """Return the keys for a batch; all ranks must call it.

        Args:
            encode: encodes this rank's clips with the model, without a graph, and returns a view for each augmentation.
            starts: of the clips of all ranks, where they are known: otherwise this waits for the device.
        """
        with self._encoder.swap_with_model():
            own = [view.embeddings for view in encode()]
        views = tuple(gather_embeddings(each) for each in own)
        every = starts or ClipStarts.read(views[0].film_B, views[0].start_B)
        looked_up, film_B = views[0], every.film_N
        if not self._looks_up_batch:
            first = rank() * len(own[0])
            looked_up, film_B = own[0], every.film_N[first : first + len(own[0])]
        return BatchKeys(views, self._queue.look_up(looked_up, film_B), every, self._queue.look_up_starts(film_B))

    def append(self, keys: BatchKeys) -> None:
        """Add a batch's keys to the queues of their films, after its loss."""
        self._queue.append(keys.views[0], keys.starts)

    def update(self, steps_done: int) -> None:
        """Move the weights of the momentum encoder towards the model's, after `steps_done` steps."""
        self._encoder.update(steps_done)

    def list_weights(self) -> list[Tensor]:
        """Return the weights of the momentum encoder."""
        return list(self._encoder.state_dict().values())

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights of the momentum encoder and the keys of all queues."""
        weights = {f"{_WEIGHTS}{name}": tensor for name, tensor in self._encoder.state_dict().items()}
        return weights | {f"{_QUEUE}{name}": tensor for name, tensor in self._queue.state_dict().items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if some of it is missing, or belongs to another model.
        """
        weights, queue = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in (_WEIGHTS, _QUEUE)
        )
        self._encoder.load_state_dict(weights)
        self._queue.load_state_dict(queue, next(self._model.parameters()).device)


def compute_queue_bytes(config: RunConfig, films: int) -> int:
    """Return the memory that full queues take on each device: a key has two float32 embeddings, a film and a start."""
    clips = config.objective.queue_clips_per_film or 0
    return films * clips * (2 * config.model.embedding_dim * torch.float32.itemsize + 2 * torch.int64.itemsize)
