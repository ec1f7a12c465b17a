"""One rank of a group: works on the global batch alone, then on its share of it, and leaves what it got both times.

Run as: one_rank.py RANK WORLD_SIZE FOLDER.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import Embeddings
from talkies.distributed import gather_rows, mean_over_ranks, rank, world_size
from talkies.objectives import ContrastiveObjective, ObjectiveConfig

WHOLE_FILMS = [0, 0, 1, 1, 2, 2, 3, 3]
SHARED_FILMS = [0, 0, 1, 1, 0, 1, 1, 1]  # clips of one film on both ranks
CASES = {
    "within_and_which": (WHOLE_FILMS, ObjectiveConfig(cross_film_weight=0.3, temperature=0.2, learn_temperature=True)),
    "within_alone": (WHOLE_FILMS, ObjectiveConfig(cross_film_weight=0.0, temperature=0.2, learn_temperature=True)),
    "plain_infonce": (WHOLE_FILMS, ObjectiveConfig(cross_film_weight=1.0, temperature=0.2)),
    "films_on_both_ranks": (SHARED_FILMS, ObjectiveConfig(cross_film_weight=0.5, learn_temperature=True)),
}


class Towers(nn.Module):
    """Two linear towers and the objective, under the names that the training uses."""

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self.video, self.audio = nn.Linear(6, 4), nn.Linear(5, 4)
        self.objective = ContrastiveObjective(config)

    def forward(self, video_BX: Tensor, audio_BX: Tensor, film_B: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        video_BD, audio_BD = (
            functional.normalize(part, dim=1) for part in (self.video(video_BX), self.audio(audio_BX))
        )
        output = self.objective(Embeddings(video_BD, audio_BD, film_B))
        return output.losses["contrastive"], output.report


def share_of(rows: Tensor) -> Tensor:
    """This rank's rows of the global batch."""
    return rows.chunk(world_size())[rank()]


def objective_case(films: list[int], config: ObjectiveConfig) -> dict[str, Any]:
    """Loss, report and averaged gradients of one step on this rank's share."""
    torch.manual_seed(17)
    towers = Towers(config)
    batch = torch.randn(8, 6), torch.randn(8, 5), torch.tensor(films)
    loss, report = towers(*map(share_of, batch))
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


def main(number: int, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    results: dict[str, Any] = {"alone": {name: objective_case(*case) for name, case in CASES.items()}}
    meeting, patience = f"file://{folder}/meeting", timedelta(seconds=30)
    dist.init_process_group("gloo", init_method=meeting, rank=number, world_size=ranks, timeout=patience)
    results["together"] = {name: objective_case(*case) for name, case in CASES.items()}
    results["gather"] = gather_case()
    results["mean"] = mean_over_ranks({"b": 3.0 * rank(), "a": 0.1})
    results["place"] = rank(), world_size()
    torch.save(results, folder / f"{number}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
