"""Audio-visual retrieval: is the sound of a clip found by its picture, and the picture by its sound?

It is measured twice: among all clips of all films, and among the clips of the same film, where palette and theme music
do not help.

Shapes: `N` clips, `Q` queries at once, `D` embedding.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from talkies.clips.film_pass import OnFilm
from talkies.evaluation.film_tasks.base import FolderTask, check_joint, describe_encoder
from talkies.evaluation.film_tasks.encode_films import EncodedFilm, encode_films
from talkies.evaluation.results.result import Metric, Result
from talkies.runs import ClipEncoder

RECALLS = (1, 5, 10)
_QUERIES_AT_ONCE = 1024  # limits the memory that the scores of a long gallery take
_DIRECTIONS = ("video_to_audio", "audio_to_video")


class RetrievalTask(FolderTask):
    """Retrieval between picture and sound, across all films and within each film."""

    name = "retrieval"
    needs = "films, or a library"
    compares_modalities = True

    def _measure_folder(self, encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
        check_joint(encoder, self.name)
        stride_frames = encoder.shape.window_frames
        films = encode_films(encoder, data, stride_frames, on_film)
        metrics, chance = compute_retrieval_metrics(films)
        protocol = describe_encoder(encoder, stride_frames) | {
            "films": len(films),
            "clips": sum(len(film.requests) for film in films),
            "score": "cosine of the towers' embeddings; the middle rank of equal scores; mean over films of their "
            "queries",
            "recalls_at": list(RECALLS),
            "galleries": {"across_films": "all clips of all films", "within_film": "the clips of the query's own film"},
            "chance": chance,
        }
        return Result(task=self.name, protocol=protocol, metrics=metrics)


def rank_positives(query_ND: Tensor, gallery_ND: Tensor) -> Tensor:
    """Return the rank of each query's own gallery row, from 0; tied rows share the middle rank.

    Args:
        query_ND: Queries, float32 `[N, D]`.
        gallery_ND: Candidates, float32 `[N, D]`; row *i* is the right answer to query *i*.

    Returns:
        Ranks `[N]`, float32; a tie of an even number gives a half.
    """
    ranks = []
    for start in range(0, len(query_ND), _QUERIES_AT_ONCE):
        scores_QN = query_ND[start : start + _QUERIES_AT_ONCE] @ gallery_ND.T
        own_Q1 = torch.arange(start, start + len(scores_QN))[:, None]
        positive_Q1 = scores_QN.gather(1, own_Q1)

        ties_Q = (scores_QN == positive_Q1).sum(1) - 1
        better_Q = (scores_QN > positive_Q1).sum(1)
        ranks.append(better_Q + ties_Q / 2)
    return torch.cat(ranks)


def compute_retrieval_metrics(films: Sequence[EncodedFilm]) -> tuple[dict[str, Metric], dict[str, float]]:
    """Return recalls at 1, 5 and 10 and median ranks (from 1), and the chance level of each recall.

    Each metric is the mean over films of the film's own clips as queries.
    """
    video_ND = torch.cat([film.encoded.embeddings.video_BD for film in films])
    audio_ND = torch.cat([film.encoded.embeddings.audio_BD for film in films])
    sizes = [len(film.requests) for film in films]

    metrics: dict[str, Metric] = {}
    for direction, query_ND, gallery_ND in zip(_DIRECTIONS, (video_ND, audio_ND), (audio_ND, video_ND), strict=True):
        across = torch.split(rank_positives(query_ND, gallery_ND), sizes)
        by_film = zip(torch.split(query_ND, sizes), torch.split(gallery_ND, sizes), strict=True)
        within = [rank_positives(query, gallery) for query, gallery in by_film]
        metrics |= dict(_summarise_ranks(f"across_films_{direction}", across))
        metrics |= dict(_summarise_ranks(f"within_film_{direction}", within))

    return metrics, _compute_chance_levels(sizes)


def _compute_chance_levels(sizes: Sequence[int]) -> dict[str, float]:
    """Return the expected recalls of a guess among films of these numbers of clips."""
    chance = {}
    for direction in _DIRECTIONS:
        for k in RECALLS:
            chance[f"across_films_{direction}_recall_at_{k}"] = min(1.0, k / sum(sizes))
            chance[f"within_film_{direction}_recall_at_{k}"] = sum(min(1.0, k / size) for size in sizes) / len(sizes)
    return chance


def _summarise_ranks(name: str, ranks: Sequence[Tensor]) -> Iterator[tuple[str, Metric]]:
    for k in RECALLS:
        yield f"{name}_recall_at_{k}", Metric.of([(film_N < k).float().mean().item() for film_N in ranks], 0.0, 1.0)
    yield f"{name}_median_rank", Metric.of([film_N.double().quantile(0.5).item() + 1 for film_N in ranks], 1.0)
