"""A model's twin that has learnt nothing: the same architecture, with the same weights in random order."""

from copy import copy, deepcopy

import torch

from talkies.models import compute_model_stamp
from talkies.runs import ClipEncoder


def shuffle_weights(encoder: ClipEncoder, seed: int) -> ClipEncoder | None:
    """Return the twin of public encoders, for comparison: what their architecture and input alone give.

    The numbers within each tensor change places at random, so their distribution stays, layer by layer, and what they
    learnt is gone (as in the randomisation tests of Adebayo et al. 2018, arXiv:1810.03292).

    Args:
        encoder: The encoders.
        seed: The seed of the order.

    Returns:
        The twin, or None if the encoders have no weights that can be changed.
    """
    model = deepcopy(encoder.model)
    parameters = [parameter for parameter in model.parameters() if parameter.numel() > 1]
    if not parameters:
        return None
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view(parameter.shape))
    twin = copy(encoder)
    twin.model, twin.stamp = model.eval(), compute_model_stamp(model)
    return twin
