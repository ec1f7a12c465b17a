"""Audio-visual retrieval: is the sound of a clip found by its picture, and the other way round?

Twice: among all clips of all films, and among the clips of the very film, where palette and theme music do not help.

Shapes: `N` clips, `Q` queries at once, `D` embedding.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.evaluation.results.result import Metric

RECALLS = (1, 5, 10)
_QUERIES_AT_ONCE = 1024  # of long galleries, not all scores at once
_DIRECTIONS = ("video_to_audio", "audio_to_video")


def ranks_of_positives(query_ND: Tensor, gallery_ND: Tensor) -> Tensor:
    """Return the rank `[N]` of row *i* of the gallery for query *i*, from 0; among ties the middle rank."""
    ranks = []
    for start in range(0, len(query_ND), _QUERIES_AT_ONCE):
        scores_QN = query_ND[start : start + _QUERIES_AT_ONCE] @ gallery_ND.T
        own_Q1 = torch.arange(start, start + len(scores_QN))[:, None]
        positive_Q1 = scores_QN.gather(1, own_Q1)
        ties_Q = (scores_QN == positive_Q1).sum(1) - 1
        ranks.append((scores_QN > positive_Q1).sum(1) + ties_Q / 2)
    return torch.cat(ranks)


def retrieval_metrics(films: Sequence[EncodedFilm]) -> tuple[dict[str, Metric], dict[str, float]]:
    """Return recalls at 1, 5 and 10 and median ranks (from 1), and the chance level of each recall.

    Each metric is the mean over films of what the film's own clips get as queries.
    """
    video_ND = torch.cat([film.encoded.embeddings.video_BD for film in films])
    audio_ND = torch.cat([film.encoded.embeddings.audio_BD for film in films])
    sizes = [len(film.requests) for film in films]
    metrics: dict[str, Metric] = {}
    for direction, query_ND, gallery_ND in zip(_DIRECTIONS, (video_ND, audio_ND), (audio_ND, video_ND), strict=True):
        across = torch.split(ranks_of_positives(query_ND, gallery_ND), sizes)
        pairs = zip(torch.split(query_ND, sizes), torch.split(gallery_ND, sizes), strict=True)
        within = [ranks_of_positives(query, gallery) for query, gallery in pairs]
        metrics |= dict(_summary(f"across_films_{direction}", across))
        metrics |= dict(_summary(f"within_film_{direction}", within))
    chance = {
        f"{gallery}_{direction}_recall_at_{k}": level
        for direction in _DIRECTIONS
        for k in RECALLS
        for gallery, level in (
            ("across_films", min(1.0, k / sum(sizes))),
            ("within_film", sum(min(1.0, k / size) for size in sizes) / len(sizes)),
        )
    }
    return metrics, chance


def _summary(name: str, ranks: Sequence[Tensor]) -> Iterator[tuple[str, Metric]]:
    for k in RECALLS:
        yield f"{name}_recall_at_{k}", Metric.of([(film_N < k).float().mean().item() for film_N in ranks], 0.0, 1.0)
    yield f"{name}_median_rank", Metric.of([film_N.double().quantile(0.5).item() + 1 for film_N in ranks], 1.0)
