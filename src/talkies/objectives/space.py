"""Alignment and uniformity: how embeddings are distributed on the sphere (Wang & Isola 2020, arXiv:2005.10242).

Shapes: `B` clips, `D` embedding.
"""

import torch
from torch import Tensor

_MAX_CLIPS = 1024  # half a million pairs estimate it well; all pairs of a large batch need too much memory


@torch.no_grad()
def alignment(video_BD: Tensor, audio_BD: Tensor) -> Tensor:
    """Return the mean squared distance between the two embeddings of a clip: 0 if they are equal, 2 if unrelated."""
    return (video_BD - audio_BD).square().sum(1).mean()


@torch.no_grad()
def uniformity(embedding_BD: Tensor) -> Tensor:
    """Return log E exp(−2 ‖x − y‖²) over pairs of clips: 0 if all are equal, near −4 if spread over the sphere.

    At most 1,024 clips of a batch are used, evenly spaced. A batch of one clip has no pairs: 0.
    """
    sample_BD = embedding_BD[:: -(-len(embedding_BD) // _MAX_CLIPS)]
    if len(sample_BD) < 2:
        return embedding_BD.new_zeros(())
    squared_distance_P = torch.nn.functional.pdist(sample_BD).square()
    return (-2 * squared_distance_P).exp().mean().log()
