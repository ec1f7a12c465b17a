"""Sources of clips that misbehave, or tell who reads them; a module of its own, for worker processes import it."""

import os
import signal

import torch

from talkies.core import ClipBatch, ClipRequest, FilmId


def blank(requests: tuple[ClipRequest, ...], numbers: dict[FilmId, int], value: int = 0) -> ClipBatch:
    """Clips whose sound is one number."""
    films = torch.tensor([numbers[request.film_id] for request in requests])
    video = torch.zeros((len(requests), 1, 3, 2), dtype=torch.uint8)
    return ClipBatch(requests, video, torch.full((len(requests), 1), value, dtype=torch.int16), films)


class TellsThreads:
    """The sound tells how many threads PyTorch has in the process that reads."""

    def batch(self, requests: tuple[ClipRequest, ...], numbers: dict[FilmId, int]) -> ClipBatch:
        return blank(requests, numbers, torch.get_num_threads())


class TellsParts:
    """The sound tells how many clips were read at once."""

    def batch(self, requests: tuple[ClipRequest, ...], numbers: dict[FilmId, int]) -> ClipBatch:
        return blank(requests, numbers, len(requests))


class Dies:
    """The process that reads is killed."""

    def batch(self, requests: tuple[ClipRequest, ...], numbers: dict[FilmId, int]) -> ClipBatch:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class HasABug:
    """Raises what no reading should."""

    def batch(self, requests: tuple[ClipRequest, ...], numbers: dict[FilmId, int]) -> ClipBatch:
        raise RuntimeError("shapes differ")
