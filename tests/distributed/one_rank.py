"""One rank of a group: runs the objective on the global batch and on its share, and saves both results."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ranks import meet
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import Embeddings, WorkError
from talkies.distributed import average_over_ranks, gather_rows, rank, world_size
from talkies.objectives import ContrastiveObjective, ObjectiveConfig, Recurrences, WeightPoint

WHOLE_FILMS = [0, 0, 1, 1, 2, 2, 3, 3]
SHARED_FILMS = [0, 0, 1, 1, 0, 1, 1, 1]  # clips of one film on several ranks
STARTS = [0, 4, 0, 9, 40, 3, 90, 94]
LEARNT = {"temperature": 0.2, "learn_temperature": True}
CASES: dict[str, tuple[list[int], dict[str, Any]]] = {
    "within_and_which": (WHOLE_FILMS, {"cross_film_weight": 0.3, **LEARNT}),
    "within_alone": (WHOLE_FILMS, {"cross_film_weight": 0.0, **LEARNT}),
    "plain_infonce": (WHOLE_FILMS, {"cross_film_weight": 1.0, "temperature": 0.2}),
    "films_on_several_ranks": (SHARED_FILMS, {"cross_film_weight": 0.5, **LEARNT}),
    "other_films_as_negatives": (SHARED_FILMS, {"cross_film_weight": 0.3, "cross_film_weighs": "negatives", **LEARNT}),
    "scheduled": (SHARED_FILMS, {"cross_film_schedule": (WeightPoint(at_step=8, cross_film_weight=0.0),), **LEARNT}),
    "masked": (SHARED_FILMS, {"mask_nearer_than_seconds": 5.0, "cross_film_weight": 0.3}),
    "several_positives": (SHARED_FILMS, {"within_film_positives_seconds": 5.0, **LEARNT}),
    "in_blocks": (SHARED_FILMS, {"block_clips": 3, "cross_film_weight": 0.3, **LEARNT}),
    "two_views": (
        SHARED_FILMS,
        {
            "within_modal_weight": 0.7,
            "within_film_positives_seconds": 4.0,
            "mask_nearer_than_seconds": 6.0,
            "cross_film_weight": 0.4,
            **LEARNT,
        },
    ),
    "decoupled": (
        SHARED_FILMS,
        {"loss": "decoupled", "time_weighting": "nearer", "within_modal_weight": 0.7, **LEARNT},
    ),
    "decoupled_within_alone": (
        SHARED_FILMS,
        {"loss": "decoupled", "cross_film_weight": 0.0, "cross_film_weighs": "negatives", "block_clips": 3, **LEARNT},
    ),
    "sigmoid": (
        SHARED_FILMS,
        {
            "loss": "sigmoid",
            "bias": -1.0,
            "within_film_weight": 2.0,
            "cross_film_weight": 0.4,
            "cross_film_weighs": "negatives",
            "time_weighting": "farther",
            "within_modal_weight": 0.7,
            **LEARNT,
        },
    ),
    "sigmoid_in_blocks": (SHARED_FILMS, {"loss": "sigmoid", "bias": -1.0, "block_clips": 3, **LEARNT}),
    "agreeing_ignored": (SHARED_FILMS, {"agreement": "ignore", "agreement_share": 0.3, **LEARNT}),
    "agreeing_are_positives": (
        SHARED_FILMS,
        {"agreement": "positives", "agreement_share": 0.3, "block_clips": 3, "within_modal_weight": 0.7, **LEARNT},
    ),
    "recurring": (SHARED_FILMS, {"recurrences": "repeats.json", "within_modal_weight": 0.7, **LEARNT}),
    "recurring_in_blocks": (SHARED_FILMS, {"recurrences": "repeats.json", "block_clips": 3, **LEARNT}),
    "two_views_in_blocks": (SHARED_FILMS, {"within_modal_weight": 0.7, "block_clips": 1, **LEARNT}),
}
STEP = 2

# Within film 1 and from there to film 0: between clips of several ranks.
RECURRENCES = Recurrences(
    torch.tensor([[1, 1], [0, 1]]), torch.tensor([[0, 90], [38, 1]]), torch.tensor([12, 9]), window_frames=6
)


class Towers(nn.Module):
    """Two linear towers and the objective, under the names that the training uses."""

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self.video, self.audio = nn.Linear(6, 4), nn.Linear(5, 4)
        self.objective = ContrastiveObjective(config, recurrences=RECURRENCES if config.recurrences else None)

    def forward(self, *rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and report of clips given as two looks at their pictures, two at their sounds, films and starts."""
        video, audio = rows[0:2], rows[2:4]
        views = [self.view(*look, *rows[4:]) for look in zip(video, audio, strict=True)]
        output = self.objective(views[: self.objective.config.views], STEP)
        return sum(output.losses.values()), output.report

    def view(self, video_BX: Tensor, audio_BX: Tensor, film_B: Tensor, start_B: Tensor) -> Embeddings:
        raw = self.video(video_BX), self.audio(audio_BX)
        return Embeddings(*(functional.normalize(part, dim=1) for part in raw), film_B, start_B)


def share_of(rows: Tensor) -> Tensor:
    """This rank's rows of the global batch."""
    return rows.chunk(world_size())[rank()]


def objective_case(films: list[int], settings: dict[str, Any]) -> dict[str, Any]:
    """Loss, report and averaged gradients of one step on this rank's share, in double precision."""
    torch.manual_seed(17)
    towers = Towers(ObjectiveConfig(**settings)).double()
    looks = *torch.randn(2, 8, 6).double(), *torch.randn(2, 8, 5).double()
    loss, report = towers(*map(share_of, (*looks, torch.tensor(films), torch.tensor(STARTS))))
    loss.backward()
    gradients = {name: averaged(weight.grad) for name, weight in towers.named_parameters() if weight.requires_grad}
    return {"loss": loss.detach(), "report": report, "gradients": gradients}


def averaged(gradient: Tensor) -> Tensor:
    """The mean over ranks, which is what data-parallel training steps along."""
    if dist.is_initialized():
        dist.all_reduce(gradient)
    return gradient / world_size()


def gather_case() -> dict[str, Tensor]:
    """What is gathered, and the gradient of this rank's rows when every rank weighs all rows in its own way."""
    rows_BD = (torch.arange(6.0).view(3, 2) + 10 * rank()).requires_grad_()
    gathered_ND = gather_rows(rows_BD)
    weights_ND = torch.arange(float(gathered_ND.numel())).view(gathered_ND.shape) * 100 ** rank()
    (gathered_ND * weights_ND).sum().backward()
    turned = (torch.arange(4).view(2, 2) + 10 * rank()).T
    with_holes = (torch.arange(8).view(2, 4) + 10 * rank())[:, ::2]
    return {
        "rows": gathered_ND.detach(),
        "gradient": rows_BD.grad,
        "turned": gather_rows(turned),
        "with_holes": gather_rows(with_holes),
    }


def count_gathers() -> list[int]:
    """How often ranks talk to each other to gather 11 rows of each, twice, and then 12."""
    counted: list[int] = []
    honest, calls = dist.all_gather, []

    def gather(*arguments: Any) -> Any:
        calls.append(arguments)
        return honest(*arguments)

    dist.all_gather = gather
    try:
        for rows in (11, 11, 12):
            calls.clear()
            gather_rows(torch.zeros(rows, 2))
            counted.append(len(calls))
    finally:
        dist.all_gather = honest
    return counted


def uneven_case() -> str:
    """What this rank is told when the last brings one clip more."""
    clips = 2 + (rank() == world_size() - 1)
    part_BD, film_B = functional.normalize(torch.ones(clips, 4), dim=1), torch.zeros(clips, dtype=torch.int64)
    try:
        ContrastiveObjective(ObjectiveConfig())([Embeddings(part_BD, part_BD, film_B, film_B)])
    except WorkError as error:
        return str(error)
    return "nothing"


def main(number: int, size: int, folder: Path) -> None:
    results: dict[str, Any] = {"alone": {name: objective_case(*case) for name, case in CASES.items()}}
    meet(number, size, folder)
    results["uneven"] = uneven_case()
    results["together"] = {name: objective_case(*case) for name, case in CASES.items()}
    results["gather"] = gather_case()
    results["gathers"] = count_gathers()
    results["mean"] = average_over_ranks({"b": 3.0 * rank(), "a": 0.1})
    results["place"] = rank(), world_size()
    torch.save(results, folder / f"{number}_of_{size}.pt")
