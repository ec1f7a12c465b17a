"""How embeddings lie on the sphere (Wang & Isola 2020, arXiv:2005.10242).

Shapes: `B` clips, `D` embedding.
"""

import torch
from torch import Tensor

_MOST_CLIPS = 1024  # a million pairs tell it well; all pairs of a large batch would be a memory of their own


@torch.no_grad()
def alignment(video_BD: Tensor, audio_BD: Tensor) -> Tensor:
    """Return the mean squared distance of the two embeddings of a clip: 0 if they are one, 2 if unrelated."""
    return (video_BD - audio_BD).square().sum(1).mean()


@torch.no_grad()
def uniformity(part_BD: Tensor) -> Tensor:
    """Return log E exp(−2 ‖x − y‖²) over pairs of clips: 0 if all are one, towards −4 if spread over the sphere.

    At most 1,024 clips of a batch are looked at, evenly spaced. A batch of one clip has no pairs: 0.
    """
    some_BD = part_BD[:: -(-len(part_BD) // _MOST_CLIPS)]
    if len(some_BD) < 2:
        return part_BD.new_zeros(())
    squared_P = torch.nn.functional.pdist(some_BD).square()
    return (-2 * squared_P).exp().mean().log()
