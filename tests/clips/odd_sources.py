"""Clip sources that fail, or report which process and thread reads; worker processes import this module."""

import os
import signal

import numpy as np
import torch

from talkies.core import ClipRequest


class Odd:
    """Clips of one tiny picture and one sample, which `told` gives."""

    def empty_batch(self, *clips: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((*clips, 1, 3, 2), np.uint8), np.zeros((*clips, 1), np.int16)

    def read_into(self, requests: tuple[ClipRequest, ...], video: np.ndarray, audio: np.ndarray) -> None:
        audio[:] = self.told(requests)

    def told(self, requests: tuple[ClipRequest, ...]) -> int:
        raise NotImplementedError


class TellsThreads(Odd):
    """The sound tells how many threads PyTorch has in the process that reads."""

    def told(self, requests: tuple[ClipRequest, ...]) -> int:
        return torch.get_num_threads()


class TellsParts(Odd):
    """The sound tells how many clips were read at once."""

    def told(self, requests: tuple[ClipRequest, ...]) -> int:
        return len(requests)


class Dies(Odd):
    """The process that reads is killed."""

    def told(self, requests: tuple[ClipRequest, ...]) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class HasABug(Odd):
    """Raises what no reading should."""

    def told(self, requests: tuple[ClipRequest, ...]) -> int:
        raise RuntimeError("shapes differ")
