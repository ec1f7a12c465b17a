"""How deep in an encoder each of its parameters lies: for training only its last blocks, and for layer-wise decay."""

from talkies.models.tower import Encoder

STEM = "stem"


def count_layers(encoder: Encoder) -> int:
    """Return the number of an encoder's blocks, without those of its stem."""
    return sum(stage != STEM for stage, _ in encoder.named_blocks())


def measure_heights(encoder: Encoder) -> dict[str, int]:
    """Return for each parameter, by name, how many blocks lie between it and the encoder's output, its own included.

    It is 0 after the last block (final norms, pools), 1 in the last block, and one more than there are blocks in the
    stem: all modules of that stage, and everything else that comes before the blocks.
    """
    layers = count_layers(encoder)
    heights: dict[int, int] = {}
    number = 0
    for stage, block in encoder.named_blocks():
        number += stage != STEM
        height = layers + 1 if stage == STEM else layers + 1 - number
        heights |= {id(parameter): height for parameter in block.parameters()}
    heights |= {id(parameter): 0 for module in encoder.list_final_modules() for parameter in module.parameters()}

    # What belongs to no block is ordered by when it was registered.
    named = list(encoder.named_parameters())
    in_layers = [index for index, (_, parameter) in enumerate(named) if 0 < heights.get(id(parameter), 0) <= layers]
    last = max(in_layers, default=-1)
    return {
        name: heights.get(id(parameter), 0 if index > last else layers + 1)
        for index, (name, parameter) in enumerate(named)
    }
