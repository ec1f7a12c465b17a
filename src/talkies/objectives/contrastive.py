"""Symmetric audio-visual InfoNCE, split by the chain rule into a within-film and a which-film term.

With `W` the candidates of the query's own film (its positive `s⁺` is one of them) and `X` those of other films:

    −log p(clip) = [lse(W) − s⁺] + [lse(W ∪ X) − lse(W)] = −log p(clip | right film) − log p(right film)

The first term is what the source emphasises (arXiv:2205.00073): only what happens in a clip distinguishes it from other
clips of its film. The second can be learnt from palette and theme music; `cross_film_weight` says how much it counts.
With several positives, `s⁺` is their mean (Khosla et al. 2020, arXiv:2004.11362, L_out).

The decoupled loss (Yeh et al. 2022, arXiv:2110.06848) leaves the positives `P` out of what they are compared with:
lse(W ∖ P ∪ wX) − s⁺, with the weight w of other films. It is no probability of a clip, and does not split into the two
terms; the sigmoid loss does not either. With every loss the two terms of the same scores are reported, so that runs can
be compared.

Shapes: `B` clips of this rank, `N` of all ranks, `D` embedding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from talkies.core import ClipStarts, Embeddings, Int64s
from talkies.distributed import gather_rows, rank
from talkies.objectives.agreement import Agreement, find_agreement
from talkies.objectives.config import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, ObjectiveConfig
from talkies.objectives.film_queue import BatchKeys, QueuedPairs
from talkies.objectives.pairs import ClipPairs, TimeWeighting, label_films
from talkies.objectives.recurrences import Recurrences, RecurringPairs
from talkies.objectives.scores import Scores, compute_scores
from talkies.objectives.sigmoid import SigmoidTerms, compute_sigmoid_terms
from talkies.objectives.space import alignment, uniformity


@dataclass(frozen=True, slots=True)
class ContrastiveTerms:
    """The two terms of each query's loss, `[B]` in nats, and whether retrieval by it succeeds, `[B]` boolean.

    `is_best_within_B`: a positive scores above all other candidates of its film. `is_film_found_B`: the best of all
    candidates is of the right film. A tie is a failure, so towers that give the same embedding to every clip never
    succeed.
    """

    within_film_B: Tensor
    which_film_B: Tensor
    is_best_within_B: Tensor
    is_film_found_B: Tensor


@dataclass(frozen=True, slots=True)
class ObjectiveOutput:
    """The result of an objective: `losses`, whose sum is minimised, and a `report` to log."""

    losses: dict[str, Tensor]
    report: dict[str, Tensor]


def compute_contrastive_terms(scores: Scores) -> ContrastiveTerms:
    """Return both terms of each query's cross-entropy."""
    best_of_film_B = scores.best_positive_B.maximum(scores.best_within_B)
    return ContrastiveTerms(
        within_film_B=scores.lse_within_B - scores.positive_B,
        which_film_B=scores.lse_within_B.logaddexp(scores.lse_across_B) - scores.lse_within_B,
        is_best_within_B=scores.best_positive_B > scores.best_within_B,
        is_film_found_B=best_of_film_B > scores.best_across_B,
    )


def compute_decoupled_loss(scores: Scores, weight: float) -> Tensor:
    """Return each query's decoupled loss `[B]` when every candidate of another film counts `weight`.

    It is 0 for a query without any negative.

    Args:
        scores: a summary in which the positives are not among the candidates within the film.
        weight: the weight of other films, from 0 to 1.
    """
    across_B = scores.lse_across_B + math.log(weight) if weight else torch.full_like(scores.lse_across_B, -math.inf)
    has_none_B = scores.lse_within_B.maximum(across_B).isneginf()
    within_B, across_B = (lse_B.masked_fill(has_none_B, 0) for lse_B in (scores.lse_within_B, across_B))
    return (within_B.logaddexp(across_B) - scores.positive_B).masked_fill(has_none_B, 0)


class ContrastiveObjective(nn.Module):
    """The loss in both directions (video→audio, audio→video) over the clips of all ranks.

    Each rank computes it for its own queries. `fps` is the rate of the grid on which clips start: it converts the
    config's seconds to frames. `recurrences` are the passages that the config's file says come back. `window_frames` is
    the length of a clip: keys of the queue that overlap with the query are not used.

    Raises:
        ValueError: if the config names recurrences, and none are given.
    """

    def __init__(
        self, config: ObjectiveConfig, fps: int = 1, recurrences: Recurrences | None = None, *, window_frames: int = 1
    ) -> None:
        super().__init__()
        if (config.recurrences is None) != (recurrences is None):
            raise ValueError("the recurrences that a config names must be given to its objective, and no others")
        self.config, self.recurrences, self._window_frames = config, recurrences, window_frames

        # Negatives of the same film are at least this far from the query, and positives at most this far.
        self._masked_frames = math.ceil(config.mask_nearer_than_seconds * fps - 1e-9)
        reach_seconds = config.within_film_positives_seconds
        self._positive_frames = math.floor(reach_seconds * fps + 1e-9) if reach_seconds else None
        self._time_weighting: TimeWeighting | None = None
        if config.time_weighting != "none":
            self._time_weighting = TimeWeighting(config.time_weighting, config.time_scale_seconds * fps)

        self.log_temperature = nn.Parameter(
            torch.tensor([math.log(config.temperature)]), requires_grad=config.learn_temperature
        )
        if config.loss == "sigmoid":
            self.bias = nn.Parameter(torch.tensor([config.bias]), requires_grad=config.learn_bias)

    @property
    def learnt_parameters(self) -> tuple[nn.Parameter, ...]:
        """The parameters of the loss that are learnt: temperature and bias, or neither."""
        return tuple(parameter for parameter in self.parameters() if parameter.requires_grad)

    @property
    def temperature(self) -> Tensor:
        """The current temperature, `[1]`."""
        return self.log_temperature.exp()

    @torch.no_grad()
    def bound_temperature(self) -> None:
        """Clamp the learnt temperature to its bounds.

        The parameter itself is clamped, because clamping a value computed from it would stop its gradient.
        """
        self.log_temperature.clamp_(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))

    def forward(
        self,
        views: Sequence[Embeddings],
        step: int = 0,
        keys: BatchKeys | None = None,
        starts: ClipStarts | None = None,
    ) -> ObjectiveOutput:
        """Return the loss of this rank's queries against the candidates of all ranks, and its report.

        The mean of the losses over ranks is the loss of the global batch.

        Args:
            views: embeddings of the same clips, one for each augmentation of them.
            step: the optimiser step, from 0, for the schedule of the weight.
            keys: with a queue, the candidates; otherwise they are the embeddings of the clips of all ranks.
            starts: films and first frames of the clips of all ranks, where they are known on the CPU. Otherwise this
                waits for the device with blocks, and with recurrences.

        Raises:
            WorkError: if the ranks have different numbers of clips.
            ValueError: if there are keys and the config has no queue, or the other way round.
        """
        if (keys is None) != (self.config.queue_clips_per_film is None):
            raise ValueError("keys are given exactly if objective.queue_clips_per_film is set")
        self.bound_temperature()
        weight = self.config.compute_cross_film_weight(step)
        report = {"temperature": self.temperature.detach(), "cross_film_weight": self.temperature.new_full((), weight)}
        if self.config.loss == "sigmoid":
            report["bias"] = self.bias.detach().clone()
        losses = {}

        # Half precision is not enough for differences of scores.
        with torch.autocast(views[0].film_B.device.type, enabled=False):
            # Gather the rows of all ranks at once, or take their keys: video and audio of each view in turn.
            own = [_convert_half_precision(rows_BD) for view in views for rows_BD in (view.video_BD, view.audio_BD)]
            gathered: Sequence[Tensor]
            if keys is None:
                gathered = torch.split(gather_rows(torch.cat(own, 1)), own[0].shape[1], 1)
                pairs = self._gather_pairs(views[0], own[:2], gathered[:2], starts)
            else:
                gathered, pairs = keys.list_candidates(), self._pair_with_keys(views[0], keys)

            # Contrast video with audio in each view.
            cross_modal = [_Contrast(own[i : i + 2], gathered[i : i + 2]) for i in range(0, len(own), 2)]
            losses["contrastive"] = self._compute_loss(cross_modal, pairs, weight, report, "")

            # Contrast the two views in video only and in audio only.
            if self.config.within_modal_weight:
                within_modal = [_Contrast(own[i::2], gathered[i::2]) for i in (0, 1)]
                loss = self._compute_loss(within_modal, pairs, weight, report, "within_modal_")
                losses["within_modal"] = self.config.within_modal_weight * loss

            report |= {
                "alignment": alignment(own[0], own[1]),
                "uniformity_video": uniformity(own[0]),
                "uniformity_audio": uniformity(own[1]),
            }
        return ObjectiveOutput(losses, {name: value.detach() for name, value in report.items()})

    def _compute_loss(
        self, contrasts: Sequence["_Contrast"], pairs: ClipPairs, weight: float, report: dict[str, Tensor], prefix: str
    ) -> Tensor:
        """Return the mean loss of several contrasts in both directions, and report its terms under a prefix."""
        queries = [
            (query_BD / self.temperature, candidate_ND)
            for contrast in contrasts
            for query_BD, candidate_ND in contrast.directions
        ]
        is_infonce = self.config.loss == "infonce"
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_infonce):  # the others only report these scores
            scores = [compute_scores(*rows, pairs, self.config.block_clips) for rows in queries]
        terms = [compute_contrastive_terms(each) for each in scores]
        within_film = torch.stack([each.within_film_B for each in terms]).mean()
        which_film = torch.stack([each.which_film_B for each in terms]).mean()

        report |= {
            f"{prefix}loss_within_film": within_film,
            f"{prefix}loss_which_film": which_film,
            f"{prefix}cross_entropy": within_film + which_film,
            f"{prefix}accuracy_within_film": torch.stack([each.is_best_within_B for each in terms]).float().mean(),
            f"{prefix}accuracy_which_film": torch.stack([each.is_film_found_B for each in terms]).float().mean(),
        }
        if not prefix:
            report |= _count_negatives(scores[0])
            if pairs.may_ignore:
                report |= _count_others(scores[0], pairs)

        # Each rank divides by its own B, and gradients are averaged over ranks: together, the mean over N queries.
        # The backward pass of `gather_rows` sums the gradients of all ranks for a row, so each counts exactly once.
        if self.config.loss == "sigmoid":
            return self._compute_sigmoid(queries, pairs, weight, report, prefix)
        if self.config.loss == "decoupled":
            rivals = replace(pairs, decoupled=True)
            scores = [compute_scores(*rows, rivals, self.config.block_clips) for rows in queries]
            return torch.stack([compute_decoupled_loss(each, weight) for each in scores]).mean()
        if self.config.cross_film_weighs == "term" or weight == 1:
            return within_film + weight * which_film
        return within_film + torch.stack([_compute_weighted_which_film(each, weight) for each in scores]).mean()

    def _compute_sigmoid(
        self,
        queries: Sequence[tuple[Tensor, Tensor]],
        pairs: ClipPairs,
        weight: float,
        report: dict[str, Tensor],
        prefix: str,
    ) -> Tensor:
        """Return the mean sigmoid loss of queries and their candidates, and report its three parts, weighted."""
        block, within_weight = self.config.block_clips, self.config.within_film_weight
        terms = [compute_sigmoid_terms(*rows, self.bias, pairs, block) for rows in queries]
        positive, within_film, across_films = (torch.stack(parts).mean() for parts in zip(*terms, strict=True))
        parts = SigmoidTerms(positive, within_weight * within_film, weight * across_films)
        report |= {
            f"{prefix}loss_positives": parts.positive_B,
            f"{prefix}loss_negatives_within_film": parts.within_film_B,
            f"{prefix}loss_negatives_across_films": parts.across_films_B,
        }
        return torch.stack(parts).sum()

    def _gather_pairs(
        self, clips: Embeddings, own: Sequence[Tensor], gathered: Sequence[Tensor], starts: ClipStarts | None
    ) -> ClipPairs:
        """Return the pairs of this rank's clips and all clips, whose video and audio in one view are given."""
        film_N, start_N = gather_rows(torch.stack((clips.film_B, clips.start_B), 1)).unbind(1)
        first = rank() * len(clips)
        if starts is None and (self.config.block_clips is not None or self.recurrences is not None):
            starts = ClipStarts.read(film_N, start_N)
        return ClipPairs(
            film_B=clips.film_B,
            start_B=clips.start_B,
            film_N=film_N,
            start_N=start_N,
            first=first,
            masked_frames=self._masked_frames,
            positive_frames=self._positive_frames,
            time_weighting=self._time_weighting,
            agreement=self._find_agreement(own, gathered, first),
            recurring=self._find_recurring(clips, starts),
            labels_N=self._label_films(starts),
        )

    def _label_films(self, starts: ClipStarts | None) -> Int64s | None:
        return None if self.config.block_clips is None or starts is None else label_films(starts)

    def _find_recurring(self, clips: Embeddings, starts: ClipStarts | None) -> RecurringPairs | None:
        if self.recurrences is None or starts is None:
            return None
        film_N, start_N = torch.from_numpy(starts.film_N), torch.from_numpy(starts.start_N)
        shape, first = (len(clips), len(starts)), rank() * len(clips)
        return self.recurrences.find_pairs(film_N, start_N, shape, first, clips.film_B.device)

    def _find_agreement(self, own: Sequence[Tensor], gathered: Sequence[Tensor], first: int) -> Agreement | None:
        if self.config.agreement == "none":
            return None
        return find_agreement(
            (own[0], own[1]),
            (gathered[0], gathered[1]),
            first,
            share=self.config.agreement_share,
            threshold=self.config.agreement_threshold,
            are_positives=self.config.agreement == "positives",
            block=self.config.block_clips,
        )

    def _pair_with_keys(self, clips: Embeddings, keys: BatchKeys) -> ClipPairs:
        """Return the pairs of this rank's clips and the keys of all clips and of the queue, in this order."""
        candidates, starts = (keys.views[0], keys.queued), keys.list_starts()
        film_N, start_N = (torch.cat([getattr(each, name) for each in candidates]) for name in ("film_B", "start_B"))
        positive_reach = 0 if self._positive_frames is None else self._positive_frames + 1
        return QueuedPairs(
            film_B=clips.film_B,
            start_B=clips.start_B,
            film_N=film_N,
            start_N=start_N,
            first=rank() * len(clips),
            masked_frames=self._masked_frames,
            positive_frames=self._positive_frames,
            time_weighting=self._time_weighting,
            recurring=self._find_recurring(clips, starts),
            labels_N=self._label_films(starts),
            queued=len(keys.queued),
            far_frames=max(self._window_frames, self._masked_frames, positive_reach),
            is_across=self.config.queue_negatives == "batch_films",
        )


@dataclass(frozen=True, slots=True)
class _Contrast:
    """Two embeddings of the same clips that are contrasted: this rank's rows of each, and all ranks' rows of each."""

    own: Sequence[Tensor]
    gathered: Sequence[Tensor]

    @property
    def directions(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The queries `[B, D]` and candidates `[N, D]` of both directions."""
        return (self.own[0], self.gathered[1]), (self.own[1], self.gathered[0])


def _compute_weighted_which_film(scores: Scores, weight: float) -> Tensor:
    """Return each query's which-film term `[B]` when every candidate of another film counts `weight`."""
    if not weight:
        return torch.zeros_like(scores.lse_within_B)
    return scores.lse_within_B.logaddexp(scores.lse_across_B + math.log(weight)) - scores.lse_within_B


def _count_negatives(scores: Scores) -> dict[str, Tensor]:
    """Return the share of negatives that are of the query's own film, and the negatives of each query."""
    within, across = scores.negatives_within_B.sum(), scores.negatives_across_B.sum()
    return {
        "within_film_share": within / (within + across).clamp(min=1),
        "negatives": (within + across) / len(scores.lse_within_B),
    }


def _count_others(scores: Scores, pairs: ClipPairs) -> dict[str, Tensor]:
    """Return how many candidates of a query are positives, and how many are ignored."""
    positives = scores.positives_B.double().mean()
    negatives = (scores.negatives_within_B + scores.negatives_across_B).double().mean()
    return {"positives": positives, "ignored": pairs.count_candidates() - positives - negatives}


def _convert_half_precision(rows_BD: Tensor) -> Tensor:
    """Return rows in half precision as float32, and others unchanged."""
    return rows_BD.float() if rows_BD.dtype in (torch.bfloat16, torch.float16) else rows_BD
