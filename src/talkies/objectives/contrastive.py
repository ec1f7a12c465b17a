"""Symmetric audio-visual InfoNCE, split by the chain rule into a within-film and a which-film part.

With `W` the candidates of the query's own film (the positive `s⁺` among them) and all candidates `W ∪ X`:

    −log p(clip) = [lse(W) − s⁺] + [lse(W ∪ X) − lse(W)] = −log p(clip | right film) − log p(right film)

The first part is what the source emphasises (arXiv:2205.00073): only what happens in a clip tells its film's clips
apart. The second can be learnt from palette and theme music alone; `cross_film_weight` says how much it counts.

Shapes: `B` clips of this rank, `N` of all ranks, `D` embedding.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import Embeddings
from talkies.distributed import gather_rows, rank

_HIGHEST_TEMPERATURE = 10.0
_LOWEST_TEMPERATURE = 0.01  # below it, float32 logits of unit vectors lose the differences that matter


class ObjectiveConfig(Config):
    """`cross_film_weight`: 1 is plain InfoNCE, 0 within-film only. `temperature`: fixed, or where learning begins."""

    cross_film_weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    temperature: Annotated[float, Field(ge=_LOWEST_TEMPERATURE, le=_HIGHEST_TEMPERATURE)] = 0.1
    learn_temperature: bool = False


@dataclass(frozen=True, slots=True)
class ContrastiveTerms:
    """The two parts for each query, `[B]` in nats, and what retrieval they amount to.

    `is_best_within_B`: the positive has the highest score of its film. `is_film_found_B`: the best candidate of all is
    of the right film.
    """

    within_film_B: Tensor
    which_film_B: Tensor
    is_best_within_B: Tensor
    is_film_found_B: Tensor


@dataclass(frozen=True, slots=True)
class ObjectiveOutput:
    """Where science meets the loop: `losses` to be added up and descended, `report` to be logged."""

    losses: dict[str, Tensor]
    report: dict[str, Tensor]


def contrastive_terms(logits_BN: Tensor, positive_B: Tensor, same_film_BN: Tensor) -> ContrastiveTerms:
    """Return both parts of the cross-entropy of each query.

    `logits_BN` are scores over temperature, `positive_B` the column of each query's positive, `same_film_BN` whether a
    candidate is of the query's film (always true of the positive).
    """
    positive = logits_BN.gather(1, positive_B[:, None]).squeeze(1)
    within_BN = logits_BN.masked_fill(~same_film_BN, -math.inf)
    lse_within, lse_all = within_BN.logsumexp(1), logits_BN.logsumexp(1)
    best = logits_BN.argmax(1)
    return ContrastiveTerms(
        within_film_B=lse_within - positive,
        which_film_B=lse_all - lse_within,
        is_best_within_B=within_BN.argmax(1) == positive_B,
        is_film_found_B=same_film_BN.gather(1, best[:, None]).squeeze(1),
    )


class ContrastiveObjective(nn.Module):
    """Both directions (video→audio, audio→video) over the clips of all ranks, each rank for its own queries."""

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self._cross_film_weight = config.cross_film_weight
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(config.temperature)), requires_grad=config.learn_temperature
        )

    @property
    def temperature(self) -> Tensor:
        """The temperature in force, a scalar."""
        return self.log_temperature.exp()

    def forward(self, embeddings: Embeddings) -> ObjectiveOutput:
        """Return the loss of this rank's queries against the candidates of all ranks, and its report.

        The mean over ranks of the losses is the loss of the global batch.
        """
        with torch.no_grad():  # the parameter itself is bounded: clamping what is made of it would stop its gradient
            self.log_temperature.clamp_(math.log(_LOWEST_TEMPERATURE), math.log(_HIGHEST_TEMPERATURE))
        video_ND, audio_ND = gather_rows(embeddings.video_BD), gather_rows(embeddings.audio_BD)
        film_N = gather_rows(embeddings.film_B)
        positive_B = rank() * len(embeddings) + torch.arange(len(embeddings), device=film_N.device)
        same_film_BN = embeddings.film_B[:, None] == film_N[None]
        with torch.autocast(
            film_N.device.type, enabled=False
        ):  # half the digits are not enough for differences of scores
            video_BD, audio_BD = embeddings.video_BD.float(), embeddings.audio_BD.float()
            scores = video_BD @ audio_ND.float().T, audio_BD @ video_ND.float().T
        both = [contrastive_terms(score / self.temperature, positive_B, same_film_BN) for score in scores]
        within = torch.stack([terms.within_film_B for terms in both]).mean()
        which = torch.stack([terms.which_film_B for terms in both]).mean()
        report = {
            "loss_within_film": within.detach(),
            "loss_which_film": which.detach(),
            "cross_entropy": (within + which).detach(),
            "accuracy_within_film": torch.stack([t.is_best_within_B for t in both]).float().mean(),
            "accuracy_which_film": torch.stack([t.is_film_found_B for t in both]).float().mean(),
            "within_film_share": _share(same_film_BN),
            "temperature": self.temperature.detach(),
        }
        # Each rank divides by its own B, and gradients are averaged over ranks: together, the mean over N queries.
        # `gather_rows` sums what all ranks give a row, so nothing is lost and nothing counted twice.
        return ObjectiveOutput({"contrastive": within + self._cross_film_weight * which}, report)


def _share(same_film_BN: Tensor) -> Tensor:
    """Return the achieved share of negatives that are of the query's own film."""
    queries, candidates = same_film_BN.shape
    return (same_film_BN.sum() - queries) / (queries * (candidates - 1))
