"""Blocks and stages of encoders: recomputation, frozen batch norm statistics, compilation block by block."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, BlockEncoder, frozen_batch_norm_statistics
from talkies.models.tower import Layers

Outcome = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]

ENCODERS: dict[str, Callable[[], BlockEncoder]] = {
    **{f"video {name}": build for name, build in VIDEO_ENCODERS.items()},
    **{f"audio {name}": build for name, build in AUDIO_ENCODERS.items()},
}
SMALL = [name for name in ENCODERS if "tiny" in name]
WITH_TORCHVISIONS_LAYERS = ["video r2plus1d18", "audio resnet18"]


def clips_for(name: str) -> Tensor:
    return torch.randn(2, 3, 4, 32, 32) if name.startswith("video") else torch.randn(2, 1, 40, 50)


def outcome_of(encoder: BlockEncoder, clips: Tensor, times: int = 1) -> Outcome:
    """Features of the last of `times` training passes, all gradients, all running statistics."""
    for _ in range(times):
        features_BE = encoder(clips)
        features_BE.square().sum().backward()
    gradients = {name: weight.grad for name, weight in encoder.named_parameters() if weight.grad is not None}
    return features_BE.detach(), gradients, dict(encoder.named_buffers())


def assert_identical(one: Outcome, other: Outcome) -> None:
    torch.testing.assert_close(other, one, rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_stages_are_a_stem_and_layers_counted_from_one(name: str) -> None:
    with torch.device("meta"):
        stages = [stage for stage, _ in ENCODERS[name]().named_blocks()]
    layers = list(dict.fromkeys(stages))
    assert layers == ["stem", *(f"layer{number}" for number in range(1, len(layers)))]
    assert stages == sorted(stages, key=layers.index)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_weight_is_of_one_part_or_of_the_pool(name: str) -> None:
    with torch.device("meta"):
        encoder = ENCODERS[name]()
    of_parts = [id(weight) for _, block in encoder.named_blocks() for weight in block.parameters()]
    assert len(of_parts) == len(set(of_parts))
    of_pool = [weight for weight, tensor in encoder.named_parameters() if id(tensor) not in of_parts]
    assert of_pool == (["norm.weight", "norm.bias"] if "vit" in name else [])


@pytest.mark.parametrize("name", [*SMALL, *WITH_TORCHVISIONS_LAYERS])
def test_features_are_the_pool_of_the_last_stage(name: str) -> None:
    encoder, clips = ENCODERS[name]().eval(), clips_for(name)
    with torch.no_grad():
        outputs = encoder.forward_stages(clips)
        assert torch.equal(encoder.pool(list(outputs.values())[-1]), encoder(clips))
    assert list(outputs) == list(dict.fromkeys(stage for stage, _ in encoder.named_blocks()))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("video r2plus1d18", [(64, 8, 56, 56), (64, 8, 56, 56), (128, 4, 28, 28), (256, 2, 14, 14), (512, 1, 7, 7)]),
        ("video tiny", [(24, 8, 28, 28), (48, 4, 14, 14), (96, 4, 7, 7), (128, 2, 7, 7)]),
        ("video vit_s", [(4 * 7 * 7, 384)] * 5),
        ("audio resnet18", [(64, 20, 26), (64, 20, 26), (128, 10, 13), (256, 5, 7), (512, 3, 4)]),
        ("audio tiny", [(16, 40, 51), (32, 20, 26), (64, 10, 13), (128, 5, 7)]),
        ("audio vit_s", [(5 * 7, 384)] * 5),
    ],
)
def test_stages_have_the_sizes_of_the_papers(name: str, shapes: list[tuple[int, ...]]) -> None:
    with torch.device("meta"):
        encoder = ENCODERS[name]()
        clips = torch.empty(3, 3, 8, 112, 112) if name.startswith("video") else torch.empty(3, 1, 80, 101)
        assert [tuple(output.shape) for output in encoder.forward_stages(clips).values()] == [
            (3, *shape) for shape in shapes
        ]


@pytest.mark.parametrize("name", [*SMALL, *WITH_TORCHVISIONS_LAYERS])
def test_recomputation_changes_no_output_no_gradient_and_no_statistic(name: str) -> None:
    plain, clips = ENCODERS[name]().train(), clips_for(name)
    frugal = copy.deepcopy(plain)
    frugal.recompute = True
    assert_identical(outcome_of(plain, clips, times=2), outcome_of(frugal, clips, times=2))


@pytest.mark.parametrize("name", SMALL)
def test_recomputation_changes_no_stage(name: str) -> None:
    plain, clips = ENCODERS[name]().train(), clips_for(name)
    frugal = copy.deepcopy(plain)
    frugal.recompute = True
    torch.testing.assert_close(frugal.forward_stages(clips), plain.forward_stages(clips), rtol=0, atol=0)


@pytest.mark.parametrize("name", SMALL)
def test_recomputation_keeps_the_inputs_of_the_parts_and_nothing_else(name: str) -> None:
    encoder, clips = ENCODERS[name]().train(), clips_for(name)
    encoder.recompute = True
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        *inputs, _ = [clips, *encoder.forward_stages(clips).values()]
    assert [tensor.data_ptr() for tensor in kept] == [tensor.data_ptr() for tensor in inputs]


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_run_twice_where_no_gradient_is_due(training: bool) -> None:
    encoder, clips = ENCODERS["video tiny"]().train(training), clips_for("video tiny")
    encoder.recompute = True
    runs: list[nn.Module] = []
    for _, block in encoder.named_blocks():
        block.register_forward_pre_hook(lambda module, _: runs.append(module))
    with torch.set_grad_enabled(not training):
        features_BE = encoder(clips)
    if not training:
        features_BE.sum().backward()
    assert runs == [block for _, block in encoder.named_blocks()]


@given(momentum=st.none() | st.floats(0, 1), passes=st.integers(0, 3), nested=st.booleans())
@settings(max_examples=20, deadline=None)
def test_norms_that_stand_still_learn_nothing_and_then_go_on(momentum: float | None, passes: int, nested: bool) -> None:
    still = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3, momentum=momentum)).train()
    other, clips = copy.deepcopy(still), torch.randn(4, 1, 5, 5)
    still(clips), other(clips)
    before = copy.deepcopy(still.state_dict())
    with frozen_batch_norm_statistics(still):
        for _ in range(passes):
            still(clips + 1)
        if nested:
            with frozen_batch_norm_statistics(still[1]):
                still(clips + 2)
            still(clips + 3)
    torch.testing.assert_close(still.state_dict(), before, rtol=0, atol=0)
    still(clips * 2), other(clips * 2)
    torch.testing.assert_close(still.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_norms_that_stand_still_normalise_by_the_batch() -> None:
    norm, clips = nn.BatchNorm2d(3).train(), torch.randn(4, 3, 5, 5) * 7 + 2
    expected = copy.deepcopy(norm)(clips)
    with frozen_batch_norm_statistics(norm):
        assert torch.equal(norm(clips), expected)


def test_norms_go_on_after_an_error_within() -> None:
    norm = nn.BatchNorm2d(3, momentum=0.3).train()
    with pytest.raises(ZeroDivisionError), frozen_batch_norm_statistics(nn.Sequential(norm)):
        raise ZeroDivisionError
    norm(torch.randn(4, 3, 5, 5))
    assert (norm.momentum, int(norm.num_batches_tracked or 0)) == (0.3, 1)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler's own, of its inputs
@pytest.mark.parametrize(
    ("name", "recompute", "graphs"),
    [("video tiny", True, 4), ("audio tiny", False, 4), ("audio vit_tiny", True, 5)],
)
def test_blocks_compiled_in_place_keep_names_and_numbers(name: str, recompute: bool, graphs: int) -> None:
    """Blocks have one graph for both runs, also those whose norms stand still in the second."""
    plain, clips = ENCODERS[name]().train(), clips_for(name)
    compiled = copy.deepcopy(plain)
    compiled.recompute = recompute
    compiled.compile_blocks("eager")
    assert list(compiled.state_dict()) == list(plain.state_dict())
    torch._dynamo.utils.counters.clear()
    one, other = outcome_of(plain, clips, times=2), outcome_of(compiled, clips, times=2)
    torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


class Chain(BlockEncoder):
    """Blocks in a row, each a stage."""

    tower, out_dim = "audio", 1

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.chain = nn.Sequential(*blocks)

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        return tuple((f"layer{number}", block) for number, block in enumerate(self.chain))

    def pool(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def test_norms_that_stand_still_need_no_graph_of_their_own() -> None:
    """In chunks a batch is encoded without gradients, and then again with them: one graph for either."""
    encoder, clips = Chain(Layers(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())), torch.randn(3, 1, 9, 9)
    encoder.compile_blocks("eager")
    torch._dynamo.utils.counters.clear()
    for gradients, graphs in ((True, 1), (False, 2)):
        with torch.set_grad_enabled(gradients):
            encoder(clips)
            with frozen_batch_norm_statistics(encoder):
                encoder(clips)
            encoder(clips)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
    assert not torch._dynamo.utils.counters["graph_break"]


def test_a_block_whose_gradient_is_compiled_can_be_run_again() -> None:
    plain, clips = Chain(Layers(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU(inplace=True))), torch.randn(2, 1, 9, 9)
    compiled = copy.deepcopy(plain)
    compiled.recompute = True
    compiled.compile_blocks("aot_eager")
    torch.testing.assert_close(outcome_of(compiled, clips), outcome_of(plain, clips))


class Strided(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.convolution(x)
        return y


def test_every_block_is_compiled_however_many_of_one_class_there_are() -> None:
    encoder = Chain(*(Strided(stride) for stride in range(1, 11)))
    encoder.compile_blocks("eager")
    with torch.no_grad(), torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        encoder(torch.randn(2, 1, 4, 4))
