"""The precision of a training step: the process's settings hold while it computes, and are afterwards as before."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from talkies.core import ClipBatch, ClipRequest, Span, parse_film_id, precision
from talkies.training import RunConfig
from talkies.training.train_state import TrainState, build_system
from talkies.transforms import video

CLIPS, FRAMES, RATE_HZ = 8, 16, 16_000


def flags() -> tuple[bool, bool, bool]:
    """Whether matrix products and convolutions are rounded to TF32, and whether convolutions are timed."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark


def random_batch() -> ClipBatch:
    requests = tuple(
        ClipRequest(parse_film_id(str(number // 4) * 16), Span(start, start + 32))
        for number, start in enumerate(range(0, 32 * CLIPS, 32))
    )
    pictures = torch.randint(0, 256, (CLIPS, FRAMES, 48, 32), dtype=torch.uint8)
    samples = torch.randint(-9000, 9000, (CLIPS, 2 * RATE_HZ), dtype=torch.int16)
    return ClipBatch(requests, pictures, samples, torch.arange(CLIPS) // 4)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("training.chunk_clips=4",),
        ("objective.queue_clips_per_film=4",),
        ("training.activation_checkpointing=true",),
    ],
    ids=["whole", "chunks", "queue", "checkpointing"],
)
@pytest.mark.parametrize("name", ["32-true", "tf32"])
def test_a_step_computes_in_its_precision_and_leaves_the_process_as_it_was(
    name: str, overrides: tuple[str, ...], small: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_DEVICES", ("cpu",))  # as if this were a CUDA device
    before = flags()
    config = small(f"training.precision={name}", *overrides)
    state = TrainState(Fabric(accelerator="cpu"), build_system(config, 16, RATE_HZ), config)
    assert flags() == before

    # Watch convolutions forwards and backwards, and the products of the transform.
    layers: list[tuple[bool, bool, bool]] = []
    transforms: list[bool] = []
    for kind in (nn.Conv2d, nn.Conv3d):
        forward = kind.forward

        def watched(module: nn.Module, x: Tensor, forward: Any = forward) -> Tensor:
            output: Tensor = forward(module, x)
            layers.append(flags())
            if output.requires_grad:
                output.register_hook(lambda gradient: layers.append(flags()))
            return output

        monkeypatch.setattr(kind, "forward", watched)
    convert = video.yuv_to_rgb
    monkeypatch.setattr(
        video, "yuv_to_rgb", lambda *args, **named: (transforms.append(flags()[0]), convert(*args, **named))[1]
    )

    batch = random_batch()
    state.stepper.backward(batch, state.stepper.draw_augmentations(batch, 0, 0), 0)
    state.stepper.encode(batch, state.stepper.draw_augmentations(batch, 0, 0))
    assert set(layers) == {(name == "tf32", name == "tf32", True)}
    assert set(transforms) == {False}
    assert flags() == before


def test_features_of_frozen_towers_are_computed_in_the_precision_of_the_run(
    small: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_DEVICES", ("cpu",))
    before, seen = flags(), []
    system = build_system(small("training.precision=tf32"), 16, RATE_HZ)
    forward = nn.Conv3d.forward
    monkeypatch.setattr(nn.Conv3d, "forward", lambda module, x: (seen.append(flags()), forward(module, x))[1])
    system.extract("video", random_batch().video_BTPW, None)
    assert set(seen) == {(True, True, before[2])}
    assert flags() == before
