"""The contrastive loss and its gradient for very large batches, at once and in blocks."""

import time
from functools import partial

import torch
from torch.nn import functional

from gpu.records import Record
from gpu.settings import Settings
from gpu.training_steps import add_row, measure_peak_bytes
from talkies.core import Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig

_DIMS, _CLIPS_PER_FILM, _ROUNDS = 256, 16, 3


def measure_loss(settings: Settings, record: Record) -> None:
    """Report the time and the memory of the loss for each number of clips and each size of blocks."""
    sizes = settings.sizes
    for clips in sizes.loss_clips:
        for block in (*sizes.blocks, None):
            if block is None and clips > sizes.loss_plain_clips:
                continue
            name = f"{clips:,} clips, {f'blocks of {block:,}' if block else 'at once'}"
            if record.seconds_left < 1:
                record.add(configuration=name, reason="no time was left for it")
                continue
            add_row(record, name, partial(_measure, settings.device, clips, block))
    record.note(
        f"Loss and gradient in {_DIMS} dimensions and float32, {_CLIPS_PER_FILM} clips of a film, other films weigh a "
        f"tenth; the shortest of {_ROUNDS}. Memory is what is used at the peak besides the embeddings."
    )


def _measure(device: str, clips: int, block: int | None) -> dict[str, object]:
    objective = ContrastiveObjective(ObjectiveConfig(cross_film_weight=0.1, block_clips=block)).to(device)
    video_BD, audio_BD = (
        functional.normalize(torch.randn(clips, _DIMS, device=device), dim=1).requires_grad_() for _ in range(2)
    )
    clip_B = torch.arange(clips, device=device)
    embeddings = Embeddings(video_BD, audio_BD, clip_B // _CLIPS_PER_FILM, clip_B % _CLIPS_PER_FILM)
    before = 0
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()

    seconds = []
    for _ in range(_ROUNDS):
        _synchronise(device)
        started = time.perf_counter()
        loss = objective([embeddings]).losses["contrastive"]
        torch.autograd.grad(loss, (video_BD, audio_BD))
        _synchronise(device)
        seconds.append(time.perf_counter() - started)
    peak = measure_peak_bytes(torch.device(device)) - before
    return {"milliseconds": 1000 * min(seconds), "peak_gib": peak / 2**30}


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
