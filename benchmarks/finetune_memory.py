"""What an encoder keeps for the backward pass of fine-tuning, counted on small clips.

What grows with the clips is proportional to clips × frames × pixels, so it is the difference of two batches of small
clips, scaled. Not counted: weights, gradients, the optimiser's state, and the workspace of convolutions.

Shapes: `B` clips, `C T H W` video.
"""

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from talkies.models import VIDEO_ENCODERS

ENCODER, FRAMES, SIDE = "r2plus1d18", 8, 56
WANTED_FRAMES, WANTED_SIDE = 32, 224
BATCHES = (16, 32)


def count_kept_bytes(module: nn.Module, x: Tensor, *, mixed: bool) -> tuple[int, Tensor]:
    """Return the bytes that the graph of a forward pass keeps, each storage once, and its output."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor  # kept alive by the graph, so no other storage gets its address

    with saved_tensors_hooks(note, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        output = module(x)
    return sum(kept.values()), output


def measure_a_clip(*, mixed: bool, recompute: bool) -> float:
    """Return the GiB that a clip of the wanted size keeps at most."""
    encoder = VIDEO_ENCODERS[ENCODER]().train()
    encoder.recompute = recompute
    scale = WANTED_FRAMES / FRAMES * (WANTED_SIDE / SIDE) ** 2 / 2**30

    def measure(module: nn.Module, one: Tensor, two: Tensor) -> tuple[float, Tensor, Tensor]:
        (few, first), (many, second) = (count_kept_bytes(module, x, mixed=mixed) for x in (one, two))
        return (many - few) * scale, first, second

    one, two = (torch.randn(clips, 3, FRAMES, SIDE, SIDE) for clips in (2, 3))
    kept, *_ = measure(encoder, one, two)
    if not recompute:
        return kept

    largest = 0.0
    for _, block in encoder.named_blocks():  # the one that runs again keeps its activations, too
        own, one, two = measure(block, one.detach(), two.detach())
        largest = max(largest, own)
    return kept + largest


if __name__ == "__main__":
    print(f"{ENCODER}, {WANTED_FRAMES} frames of {WANTED_SIDE} px, GiB for a batch of {BATCHES}")
    for mixed in (False, True):
        for recompute in (False, True):
            clip = measure_a_clip(mixed=mixed, recompute=recompute)
            words = ("bf16-mixed" if mixed else "32-true", "checkpointing" if recompute else "all activations")
            print(*words, *(f"{clip * clips:.1f}" for clips in BATCHES), sep="\t")
