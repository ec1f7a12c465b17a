"""Linear towers in double precision that are trained on given features against queues of keys."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from slow_queue import Clip
from small_system import TRANSFORMS, SmallAudio, SmallVideo
from torch import Tensor, nn

from talkies.core import ClipRequest, FilmId, Span
from talkies.models import TwoTower
from talkies.objectives import ContrastiveObjective, ObjectiveConfig, WeightPoint
from talkies.training.features.values import FeatureBatch, ViewFeatures
from talkies.training.momentum import MomentumKeys
from talkies.training.step import FORWARD_METHODS, Stepper
from talkies.training.system import ContrastiveSystem
from talkies.transforms import ClipTransform, TransformConfig

FPS, WINDOW, RATE, DIMS = 8, 4, 0.4, 3
STEPS = 4
LEARNT = {"temperature": 0.4, "learn_temperature": True}
QUEUES: dict[str, dict[str, Any]] = {
    "within films": {"queue_clips_per_film": 6, "momentum": 0.9, "cross_film_weight": 0.0, "temperature": 0.4},
    "terms and a mask": {
        "queue_clips_per_film": 5,
        "momentum": 0.7,
        "cross_film_weight": 0.3,
        "mask_nearer_than_seconds": 1.0,
        **LEARNT,
    },
    "negatives of all films of the batch": {
        "queue_clips_per_film": 3,
        "queue_negatives": "batch_films",
        "momentum": 0.5,
        "cross_film_weighs": "negatives",
        "cross_film_schedule": (WeightPoint(at_step=4, cross_film_weight=0.2),),
        "within_film_positives_seconds": 0.75,
        **LEARNT,
    },
    "two views": {
        "queue_clips_per_film": 2,
        "momentum": 0.0,
        "cross_film_weight": 0.4,
        "within_modal_weight": 0.7,
        **LEARNT,
    },
    "sigmoid": {
        "loss": "sigmoid",
        "bias": -1.0,
        "queue_clips_per_film": 4,
        "momentum": 0.8,
        "cross_film_weighs": "negatives",
        "cross_film_weight": 0.4,
        "within_film_weight": 1.5,
        **LEARNT,
    },
    "decoupled, weighed by time": {
        "loss": "decoupled",
        "time_weighting": "farther",
        "time_scale_seconds": 1.5,
        "queue_clips_per_film": 4,
        "momentum": 0.6,
        **LEARNT,
    },
}


def clips_of(step: int) -> list[Clip]:
    """The eight clips of a step: films of one to four clips that lie on several ranks; some come back, some overlap."""
    generator = torch.Generator().manual_seed(70 + step)
    films = [[0, 0, 1, 1, 2, 2, 2, 2], [0, 1, 1, 3, 3, 0, 0, 1], [2, 2, 0, 0, 0, 0, 5, 5], [1, 0, 0, 2, 2, 3, 3, 0]][
        step
    ]
    starts = torch.randint(0, 24, (8,), generator=generator).tolist()
    features = torch.randn(8, 2, 9, generator=generator, dtype=torch.float64).tolist()
    return [
        Clip(film, start, [view[:5] for view in views], [view[5:] for view in views])
        for film, start, views in zip(films, starts, features, strict=True)
    ]


def batch_of(clips: Sequence[Clip], views: int) -> FeatureBatch:
    requests = tuple(ClipRequest(FilmId(f"{c.film:016x}"), Span(c.start, c.start + WINDOW)) for c in clips)
    features = [
        ViewFeatures(
            *(torch.tensor([getattr(c, m)[v] for c in clips], dtype=torch.float64) for m in ("video", "audio"))
        )
        for v in range(views)
    ]
    return FeatureBatch(requests, torch.tensor([clip.film for clip in clips]), tuple(features))


class QueueTraining:
    """Takes steps of gradient descent with what trains for real: a stepper, the momentum encoder and its queues."""

    def __init__(self, settings: dict[str, Any], chunk_clips: int | None, fabric: Fabric) -> None:
        torch.manual_seed(11)
        heads = {f"{m}_head": nn.Linear(width, DIMS, bias=False) for m, width in (("video", 5), ("audio", 4))}
        model = TwoTower(SmallVideo(), SmallAudio(), DIMS, 16, **heads)
        for encoder in (model.video, model.audio):
            encoder.requires_grad_(False)
        objective = ContrastiveObjective(ObjectiveConfig(**settings), FPS, window_frames=WINDOW)
        transform = ClipTransform(TransformConfig(**TRANSFORMS), 1600)
        self.system = ContrastiveSystem(transform, model, objective).double()
        with torch.no_grad():
            objective.log_temperature.copy_(torch.tensor([settings["temperature"]]).double().log())

        self.fabric, wrapped = fabric, fabric.setup_module(self.system)
        for method in FORWARD_METHODS:
            wrapped.mark_forward_method(method)
        self.keys = MomentumKeys(model, objective.config)
        self.stepper = Stepper(fabric, wrapped, self.system, chunk_clips, keys=self.keys)

    @property
    def weights(self) -> dict[str, Tensor]:
        """What is trained, by the names of the reference."""
        heads = {m: getattr(self.system.model, f"{m}_head").weight for m in ("video", "audio")}
        objective = self.system.objective
        bias = {"bias": objective.bias} if objective.config.loss == "sigmoid" else {}
        return heads | {"log_temperature": objective.log_temperature} | bias

    def step(self, number: int) -> dict[str, Any]:
        """Take one step on this rank's share of its clips, and return its numbers and its gradients."""
        clips = clips_of(number)
        share = len(clips) // self.fabric.world_size
        first = self.fabric.global_rank * share
        batch = batch_of(clips[first : first + share], self.system.objective.config.views)
        self.system.zero_grad()
        numbers = self.stepper.backward(batch, batch.views, number)
        gradients = {name: w.grad.clone() for name, w in self.weights.items() if w.grad is not None}
        with torch.no_grad():
            for name, gradient in gradients.items():
                self.weights[name].sub_(RATE * gradient)
        self.keys.update(number + 1)
        state = {name: tensor.clone() for name, tensor in self.keys.state_dict().items()}
        return {"numbers": numbers, "gradients": gradients, "state": state}
