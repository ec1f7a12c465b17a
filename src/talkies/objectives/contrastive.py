"""Symmetric audio-visual InfoNCE, split by the chain rule into a within-film and a which-film part.

With `W` the candidates of the query's own film (the positive `s⁺` among them) and `X` those of other films:

    −log p(clip) = [lse(W) − s⁺] + [lse(W ∪ X) − lse(W)] = −log p(clip | right film) − log p(right film)

The first part is what the source emphasises (arXiv:2205.00073): only what happens in a clip tells its film's clips
apart. The second can be learnt from palette and theme music alone; `cross_film_weight` says how much it counts. With
several positives, `s⁺` is their mean (Khosla et al. 2020, arXiv:2004.11362, L_out).

Shapes: `B` clips of this rank, `N` of all ranks, `D` embedding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from talkies.core import Embeddings
from talkies.distributed import gather_rows, rank
from talkies.objectives.config import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, ObjectiveConfig
from talkies.objectives.pairs import Pairs
from talkies.objectives.scores import Scores, scores_of
from talkies.objectives.space import alignment, uniformity


@dataclass(frozen=True, slots=True)
class ContrastiveTerms:
    """The two parts for each query, `[B]` in nats, and what retrieval they amount to.

    `is_best_within_B`: a positive scores above all else in its film. `is_film_found_B`: the best candidate of all is
    of the right film. A tie is no success, so that towers that give one embedding for all are right nowhere.
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


def contrastive_terms(scores: Scores) -> ContrastiveTerms:
    """Return both parts of the cross-entropy of each query."""
    best_of_film_B = scores.best_positive_B.maximum(scores.best_within_B)
    return ContrastiveTerms(
        within_film_B=scores.lse_within_B - scores.positive_B,
        which_film_B=scores.lse_within_B.logaddexp(scores.lse_across_B) - scores.lse_within_B,
        is_best_within_B=scores.best_positive_B > scores.best_within_B,
        is_film_found_B=best_of_film_B > scores.best_across_B,
    )


class ContrastiveObjective(nn.Module):
    """Both directions (video→audio, audio→video) over the clips of all ranks, each rank for its own queries.

    `fps` is the grid on which clips begin: it makes frames of the config's seconds.
    """

    def __init__(self, config: ObjectiveConfig, fps: int = 1) -> None:
        super().__init__()
        self.config = config
        # The nearest clip that is a negative lies at least so far away, and the farthest positive at most so far.
        self._masked_frames = math.ceil(config.mask_nearer_than_seconds * fps - 1e-9)
        reach = config.within_film_positives_seconds
        self._positive_frames = math.floor(reach * fps + 1e-9) if reach else None
        self.log_temperature = nn.Parameter(
            torch.tensor([math.log(config.temperature)]), requires_grad=config.learn_temperature
        )

    @property
    def temperature(self) -> Tensor:
        """The temperature in force, `[1]`."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def bound_temperature(self) -> None:
        """Set a temperature that was learnt out of its bounds to the nearest in them.

        The parameter itself is bounded, for to clamp what is made of it would stop its gradient.
        """
        self.log_temperature.clamp_(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))

    def forward(self, views: Sequence[Embeddings], step: int = 0) -> ObjectiveOutput:
        """Return the loss of this rank's queries against the candidates of all ranks, and its report.

        `views` are embeddings of the same clips, one for each time that they were augmented. The mean over ranks of
        the losses is the loss of the global batch.

        Raises:
            WorkError: if the ranks do not bring equally many clips.
        """
        self.bound_temperature()
        first, weight = views[0], self.config.weight_at(step)
        with torch.autocast(first.film_B.device.type, enabled=False):  # half the digits are not enough for differences
            own = [part for view in views for part in (_whole(view.video_BD), _whole(view.audio_BD))]
            all_ = torch.split(gather_rows(torch.cat(own, 1)), own[0].shape[1], 1)
            pairs = self._pairs(first)
            losses, report = {}, {"temperature": self.temperature.detach(), "cross_film_weight": torch.tensor(weight)}
            cross = [_Matched(own[i : i + 2], all_[i : i + 2]) for i in range(0, len(own), 2)]
            losses["contrastive"] = self._loss(cross, pairs, weight, report, "")
            if self.config.within_modal_weight:
                modal = [_Matched(own[i::2], all_[i::2]) for i in (0, 1)]
                within_modal = self._loss(modal, pairs, weight, report, "within_modal_")
                losses["within_modal"] = self.config.within_modal_weight * within_modal
            report |= {
                "alignment": alignment(own[0], own[1]),
                "uniformity_video": uniformity(own[0]),
                "uniformity_audio": uniformity(own[1]),
            }
        return ObjectiveOutput(losses, {name: value.detach() for name, value in report.items()})

    def _loss(
        self, matched: Sequence["_Matched"], pairs: Pairs, weight: float, report: dict[str, Tensor], prefix: str
    ) -> Tensor:
        """Return the mean loss of several pairs of parts in both directions, and report its terms under a prefix."""
        scores = [
            scores_of(query_BD / self.temperature, candidate_ND, pairs, self.config.block_clips)
            for pair in matched
            for query_BD, candidate_ND in pair.both_ways()
        ]
        terms = [contrastive_terms(each) for each in scores]
        within = torch.stack([each.within_film_B for each in terms]).mean()
        which = torch.stack([each.which_film_B for each in terms]).mean()
        report |= {
            f"{prefix}loss_within_film": within,
            f"{prefix}loss_which_film": which,
            f"{prefix}cross_entropy": within + which,
            f"{prefix}accuracy_within_film": torch.stack([each.is_best_within_B for each in terms]).float().mean(),
            f"{prefix}accuracy_which_film": torch.stack([each.is_film_found_B for each in terms]).float().mean(),
        }
        if not prefix:
            report |= _shares(scores[0])
        # Each rank divides by its own B, and gradients are averaged over ranks: together, the mean over N queries.
        # `gather_rows` sums what all ranks give a row, so nothing is lost and nothing counted twice.
        if self.config.cross_film_weighs == "term" or weight == 1:
            return within + weight * which
        return within + torch.stack([_weighed(each, weight) for each in scores]).mean()

    def _pairs(self, own: Embeddings) -> Pairs:
        film_N, start_N = gather_rows(torch.stack((own.film_B, own.start_B), 1)).unbind(1)
        first = rank() * len(own)
        return Pairs(own.film_B, own.start_B, film_N, start_N, first, self._masked_frames, self._positive_frames)


@dataclass(frozen=True, slots=True)
class _Matched:
    """Two parts that belong together clip by clip: this rank's rows of each, and all ranks'."""

    own: Sequence[Tensor]
    all: Sequence[Tensor]

    def both_ways(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (self.own[0], self.all[1]), (self.own[1], self.all[0])


def _weighed(scores: Scores, weight: float) -> Tensor:
    """Return what the candidates of other films add to each query's loss if each of them counts `weight`."""
    if not weight:
        return torch.zeros_like(scores.lse_within_B)
    return scores.lse_within_B.logaddexp(scores.lse_across_B + math.log(weight)) - scores.lse_within_B


def _shares(scores: Scores) -> dict[str, Tensor]:
    """Return which share of the negatives is of the query's own film, and how many each query has."""
    within, across = scores.negatives_within_B.sum(), scores.negatives_across_B.sum()
    return {
        "within_film_share": within / (within + across).clamp(min=1),
        "negatives": (within + across) / len(scores.lse_within_B),
    }


def _whole(part_BD: Tensor) -> Tensor:
    """Return half-precision numbers as float32, others as they are."""
    return part_BD.float() if part_BD.dtype in (torch.bfloat16, torch.float16) else part_BD
