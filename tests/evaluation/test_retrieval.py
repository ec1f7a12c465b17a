"""Ranks and recalls, against a reference and against chance."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.evaluation.film_tasks.retrieval import RECALLS, compute_retrieval_metrics, rank_positives

MakeFilm = Callable[[str, Tensor, Tensor], EncodedFilm]
DIRECTIONS = ("video_to_audio", "audio_to_video")


def reference_ranks(query_ND: Tensor, gallery_ND: Tensor) -> list[float]:
    """Ranks by counting, candidate after candidate; among ties the middle of the places they share."""
    ranks = []
    for row, query_D in enumerate(query_ND.tolist()):
        scores = [sum(a * b for a, b in zip(query_D, other_D, strict=True)) for other_D in gallery_ND.tolist()]
        places = sorted(scores, reverse=True)
        shared = [place for place, score in enumerate(places) if score == scores[row]]
        ranks.append(sum(shared) / len(shared))
    return ranks


@pytest.mark.parametrize("seed", range(5))
def test_ranks_are_those_of_a_count_with_ties_in_the_middle(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    query_ND, gallery_ND = (torch.randint(-2, 3, (23, 3), generator=generator).float() for _ in range(2))
    expected = reference_ranks(query_ND, gallery_ND)
    assert any(rank % 1 for rank in expected), "no tie of an even number proves less"
    assert rank_positives(query_ND, gallery_ND).tolist() == expected


def test_the_middle_rank_of_ties_by_hand() -> None:
    query_ND = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    gallery_ND = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert rank_positives(query_ND, gallery_ND).tolist() == [1.0, 1.0, 1.0]
    assert rank_positives(query_ND[:2], gallery_ND[:2]).tolist() == [0.5, 0.5]
    assert rank_positives(query_ND[2:], torch.tensor([[0.0, 1.0]])).tolist() == [0.0]


def test_towers_that_agree_find_every_clip(encoded_film: MakeFilm) -> None:
    rows_ND = torch.eye(30)
    films = [encoded_film(f"{number}.mp4", part, part) for number, part in enumerate(rows_ND.split([12, 18]))]
    metrics, _ = compute_retrieval_metrics(films)
    assert {name: metric.mean for name, metric in metrics.items() if "recall" in name} == {
        f"{gallery}_{direction}_recall_at_{k}": 1.0
        for gallery in ("across_films", "within_film")
        for direction in DIRECTIONS
        for k in RECALLS
    }
    medians = [metric.mean for name, metric in metrics.items() if name.endswith("median_rank")]
    assert medians == [1.0] * 4
    assert all(metric.n == 2 and metric.sd == 0 for metric in metrics.values())


def test_towers_that_know_nothing_are_at_chance(encoded_film: MakeFilm) -> None:
    generator = torch.Generator().manual_seed(3)
    films = []
    for number in range(10):
        video_ND, audio_ND = (functional.normalize(torch.randn(40, 64, generator=generator)) for _ in range(2))
        films.append(encoded_film(f"{number}.mp4", video_ND, audio_ND))
    metrics, chance = compute_retrieval_metrics(films)
    queries = 400
    for name, level in chance.items():
        deviation = (level * (1 - level) / queries) ** 0.5
        assert abs(metrics[name].mean - level) < 4 * deviation, name


def test_chance_is_the_share_of_the_gallery_that_is_looked_at(encoded_film: MakeFilm) -> None:
    rows_ND = torch.eye(25)
    films = [encoded_film(f"{number}.mp4", part, part) for number, part in enumerate(rows_ND.split([5, 20]))]
    _, chance = compute_retrieval_metrics(films)
    for direction in DIRECTIONS:
        assert chance[f"across_films_{direction}_recall_at_5"] == 5 / 25
        assert chance[f"within_film_{direction}_recall_at_1"] == pytest.approx((1 / 5 + 1 / 20) / 2)
        assert chance[f"within_film_{direction}_recall_at_10"] == pytest.approx((1 + 10 / 20) / 2)


def test_a_model_that_gives_all_clips_one_embedding_gains_nothing_by_it(encoded_film: MakeFilm) -> None:
    same_ND = functional.normalize(torch.ones(21, 8))
    metrics, _ = compute_retrieval_metrics([encoded_film("a.mp4", same_ND, same_ND)])
    assert metrics["across_films_video_to_audio_recall_at_10"].mean == 0
    assert metrics["within_film_audio_to_video_median_rank"].mean == 11


def test_a_film_mark_helps_across_films_and_not_within_one(encoded_film: MakeFilm) -> None:
    films = []
    for number in range(4):
        mark_ND = functional.one_hot(torch.full((8,), number), 4).float()
        films.append(encoded_film(f"{number}.mp4", mark_ND, mark_ND))
    metrics, chance = compute_retrieval_metrics(films)
    name = "video_to_audio_recall_at_5"
    assert metrics[f"across_films_{name}"].mean == 1.0 > chance[f"across_films_{name}"]
    assert metrics["within_film_video_to_audio_median_rank"].mean == 4.5  # the middle of eight


def test_each_film_counts_alike_however_many_clips_it_has(encoded_film: MakeFilm) -> None:
    found_ND, turned_ND = torch.eye(20)[:4], torch.eye(20)[4:]
    films = [
        encoded_film("short.mp4", found_ND, found_ND),
        encoded_film("long.mp4", turned_ND, turned_ND.roll(1, 0)),
    ]
    metric = compute_retrieval_metrics(films)[0]["within_film_video_to_audio_recall_at_1"]
    assert (metric.mean, metric.n) == (0.5, 2)


def test_the_median_of_an_even_number_of_ranks_is_between_the_middle_two(
    encoded_film: Callable[[str, Tensor, Tensor], EncodedFilm],
) -> None:
    video_ND = torch.eye(4)
    audio_ND = video_ND[[0, 1, 3, 2]]  # two are found first of all, two have one before them and two beside
    metrics, _ = compute_retrieval_metrics([encoded_film("one", video_ND, audio_ND)])
    assert metrics["within_film_video_to_audio_median_rank"].mean == pytest.approx((1 + 3) / 2)
