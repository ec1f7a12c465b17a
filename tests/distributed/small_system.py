"""A system small enough to compare gradients number by number, and a batch for it."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.models import BlockEncoder, TwoTower
from talkies.objectives import ContrastiveObjective, ObjectiveConfig, Recurrences, WeightPoint
from talkies.training.step import FORWARD_METHODS, Stepper
from talkies.training.system import ContrastiveSystem
from talkies.transforms import Augmentation, ClipTransform, TransformConfig

FILMS = [0, 0, 1, 1, 0, 1, 2, 1]
STARTS = [0, 4, 0, 9, 40, 3, 90, 94]
SEED, STEP = 5, 3
LEARNT = {"temperature": 0.3, "learn_temperature": True}
KNOBS: dict[str, dict[str, Any]] = {
    "plain": {"temperature": 0.3},
    "terms": {"cross_film_weight": 0.3, "mask_nearer_than_seconds": 5.0, **LEARNT},
    "negatives": {
        "cross_film_weighs": "negatives",
        "cross_film_schedule": (WeightPoint(at_step=10, cross_film_weight=0.2),),
        "within_film_positives_seconds": 5.0,
        "block_clips": 3,
        **LEARNT,
    },
    "decoupled": {
        "loss": "decoupled",
        "agreement": "positives",
        "agreement_threshold": 0.9,
        "recurrences": "repeats.json",
        "block_clips": 3,
        **LEARNT,
    },
    "sigmoid": {
        "loss": "sigmoid",
        "bias": -2.0,
        "within_film_weight": 2.0,
        "cross_film_weighs": "negatives",
        "cross_film_weight": 0.4,
        "time_weighting": "farther",
        "within_modal_weight": 0.7,
        "agreement": "ignore",
        "agreement_share": 0.2,
        **LEARNT,
    },
    "two views": {
        "within_modal_weight": 0.7,
        "within_film_positives_seconds": 4.0,
        "mask_nearer_than_seconds": 6.0,
        "cross_film_weight": 0.4,
        **LEARNT,
    },
}
RECURRENCES = Recurrences(
    torch.tensor([[1, 1], [0, 1]]), torch.tensor([[0, 90], [38, 1]]), torch.tensor([12, 9]), window_frames=6
)
TRANSFORMS = {
    "video": {"size": 16, "brightness": 0.4, "grey": 0.3},
    "audio": {
        "n_fft": 64,
        "hop": 32,
        "mels": 8,
        "gain_db": 10.0,
        "time_masks": 1,
        "time_mask_frames": 3,
        "frequency_masks": 1,
        "frequency_mask_bins": 2,
    },
}


class SmallVideo(BlockEncoder):
    """Two blocks without a norm over `[B, 3, T, 16, 16]`."""

    modality, out_dim = "video", 12

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 6, (1, 4, 4), (1, 4, 4)), nn.GELU())
        self.block = nn.Sequential(nn.Conv3d(6, self.out_dim, 2), nn.GELU())

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        return ("stem", self.stem), ("layer1", self.block)

    def pool(self, x: Tensor) -> Tensor:
        return x.mean((2, 3, 4))


class SmallAudio(BlockEncoder):
    """Two blocks without a norm over `[B, 1, 8, L]`."""

    modality, out_dim = "audio", 10

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3), nn.GELU())
        self.block = nn.Sequential(nn.Conv2d(6, self.out_dim, 3), nn.GELU())

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        return ("stem", self.stem), ("layer1", self.block)

    def pool(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def system_of(settings: dict[str, Any], *, still: bool = True) -> ContrastiveSystem:
    """A fresh system, always of the same weights; if `still`, its heads' norms do not hang on the batch."""
    torch.manual_seed(11)
    model = TwoTower(SmallVideo(), SmallAudio(), 6, 16)
    transform = ClipTransform(TransformConfig(**TRANSFORMS), 1600)
    config = ObjectiveConfig(**settings)
    objective = ContrastiveObjective(config, 1, RECURRENCES if config.recurrences else None)
    system = ContrastiveSystem(transform, model, objective)
    for norm in (part for part in system.modules() if still and isinstance(part, nn.BatchNorm1d)):
        norm.running_var.fill_(0.01)
        norm.eval()
    return system


def batch_of(clips: slice = slice(None)) -> ClipBatch:
    """Some clips of one batch of eight: noise in colours and levels of their own."""
    generator = torch.Generator().manual_seed(3)
    count = len(FILMS)
    light = torch.randint(0, 200, (count, 1, 24, 1), generator=generator)
    video_BTPW = (light + torch.randint(0, 56, (count, 2, 24, 16), generator=generator)).to(torch.uint8)
    loud = torch.randint(1, 60, (count, 1), generator=generator)
    audio_BS = (loud * torch.randint(-500, 500, (count, 256), generator=generator)).to(torch.int16)
    requests = [
        ClipRequest(FilmId(f"{film:016x}"), Span(start, start + 2)) for film, start in zip(FILMS, STARTS, strict=True)
    ]
    return ClipBatch(tuple(requests), video_BTPW, audio_BS, torch.tensor(FILMS))[clips]


def share_of(rank: int, size: int) -> ClipBatch:
    """A rank's share of the batch."""
    each = len(FILMS) // size
    return batch_of(slice(rank * each, (rank + 1) * each))


def stepper_of(fabric: Fabric, system: ContrastiveSystem, chunk_clips: int | None) -> Stepper:
    """What steps, set up as for training."""
    wrapped = fabric.setup_module(system)
    for method in FORWARD_METHODS:
        wrapped.mark_forward_method(method)
    return Stepper(fabric, wrapped, system, chunk_clips)


def augmentations_of(system: ContrastiveSystem, batch: ClipBatch, rank: int = 0, size: int = 1) -> list[Augmentation]:
    """How a rank of so many augments its clips."""
    fabric = SimpleNamespace(global_rank=rank, world_size=size)
    return Stepper(fabric, None, system, None).draw_augmentations(batch, SEED, STEP)  # type: ignore[arg-type]


def plain_step(settings: dict[str, Any]) -> dict[str, Any]:
    """Numbers and gradients of the whole batch in one pass, without any wrapper."""
    system, batch = system_of(settings), batch_of()
    losses, report = system(batch, augmentations_of(system, batch), STEP)
    sum(losses.values()).backward()
    loss = sum(losses.values()).detach()
    return {"numbers": {"loss": loss, **report}, "gradients": gradients_of(system)}


def gradients_of(system: ContrastiveSystem) -> dict[str, Tensor]:
    """The gradient of each parameter, whole."""
    found = {name: parameter.grad for name, parameter in system.named_parameters() if parameter.requires_grad}
    return {name: (g.full_tensor() if hasattr(g, "full_tensor") else g).clone() for name, g in found.items()}


def looks(augmentations: Sequence[Augmentation]) -> list[Tensor]:
    """All numbers of how clips are augmented, each `[B, …]`."""
    return [
        part
        for a in augmentations
        for parts in (a.video.crops, a.video.jitter, a.audio)
        for part in (getattr(parts, name) for name in type(parts).__slots__)
    ]
