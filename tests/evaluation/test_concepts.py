"""The linear probe of concepts: it finds what was planted, and nothing where nothing is."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from talkies.core import Span, UsageError
from talkies.evaluation.film_tasks.concepts import (
    SPLITS,
    FilmsWithTruth,
    Truth,
    TruthFilm,
    TruthShot,
    find_concept,
    probe_concepts,
    probe_other_films,
    read_truth,
)
from talkies.evaluation.film_tasks.encode_films import EncodedFilm

MakeFilm = Callable[[str, Tensor, Tensor], EncodedFilm]
CONCEPTS, FILMS, SHOTS, FPS = 4, 6, 20, 16
SHOTS_OF_TWO = [
    TruthShot(start_seconds=0.0, end_seconds=2.0, concept=7),
    TruthShot(start_seconds=2.0, end_seconds=5.0, concept=1),
]


@pytest.mark.parametrize(
    ("window", "concept"),
    [
        (Span(0, 16), 7),
        (Span(16, 32), 7),  # up to the very cut
        (Span(24, 40), None),  # the cut lies inside
        (Span(31, 47), None),
        (Span(32, 48), 1),  # from the very cut on
        (Span(64, 80), 1),
        (Span(65, 81), None),  # beyond the end
        (Span(96, 112), None),
    ],
)
def test_a_window_has_the_concept_of_the_one_shot_that_holds_it(window: Span, concept: int | None) -> None:
    assert find_concept(window, SHOTS_OF_TWO, FPS) == concept


def planted(encoded_film: MakeFilm, seed: int, shuffled: bool) -> tuple[list[EncodedFilm], Truth]:
    """Films whose features are their shots' concepts with a little noise, or those of other shots."""
    random = np.random.default_rng(seed)
    films, truths = [], []
    for number in range(FILMS):
        concepts_N = random.integers(CONCEPTS, size=SHOTS)
        shown_N = random.permutation(concepts_N) if shuffled else concepts_N
        clean_NE = np.eye(CONCEPTS)[shown_N]
        noisy = [torch.from_numpy(clean_NE + 0.05 * random.normal(size=clean_NE.shape)).float() for _ in range(2)]
        name = f"{number}.mp4"
        films.append(encoded_film(name, *noisy))
        shots = tuple(
            TruthShot(start_seconds=place, end_seconds=place + 1, concept=int(concept))
            for place, concept in enumerate(concepts_N)
        )
        truths.append(TruthFilm(file=name, shots=shots))
    return films, Truth(concepts=tuple("abcd"), films=tuple(truths))


def test_planted_concepts_are_all_found(encoded_film: MakeFilm) -> None:
    metrics = probe_concepts(*planted(encoded_film, 0, shuffled=False), FPS, seed=0)
    assert metrics.keys() == {"video_accuracy", "audio_accuracy"}
    for metric in metrics.values():
        assert (metric.mean, metric.sd, metric.n) == (1.0, 0.0, SPLITS)


def test_shuffled_concepts_are_found_at_chance(encoded_film: MakeFilm) -> None:
    accuracies = [
        metric.mean
        for seed in range(4)
        for metric in probe_concepts(*planted(encoded_film, seed, shuffled=True), FPS, seed=seed).values()
    ]
    assert np.mean(accuracies) == pytest.approx(1 / CONCEPTS, abs=0.06)
    assert max(accuracies) < 0.45


def test_a_clip_with_a_cut_is_neither_fitted_nor_tested(encoded_film: MakeFilm) -> None:
    films, truth = planted(encoded_film, 0, shuffled=False)
    misled = []
    for film in films:
        video_NE, audio_NE = film.encoded.video_BE.clone(), film.encoded.audio_BE.clone()
        video_NE[::2] = audio_NE[::2] = torch.eye(CONCEPTS)[0]  # every other clip shows the wrong thing …
        misled.append(encoded_film(film.name, video_NE, audio_NE))
    cut = tuple(
        TruthFilm(file=film.file, shots=tuple(shot for place, shot in enumerate(film.shots) if place % 2))
        for film in truth.films
    )  # … but no shot holds it
    metrics = probe_concepts(misled, Truth(concepts=truth.concepts, films=cut), FPS, seed=0)
    assert [metric.mean for metric in metrics.values()] == [1.0, 1.0]


def test_the_halves_depend_on_the_seed_alone(encoded_film: MakeFilm) -> None:
    films, truth = planted(encoded_film, 2, shuffled=True)
    first, again, other = (probe_concepts(films, truth, FPS, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_one_film_cannot_be_halved(encoded_film: MakeFilm) -> None:
    films, truth = planted(encoded_film, 0, shuffled=False)
    with pytest.raises(UsageError, match=r"fitted on half of the films and tested on the other half; got 1$"):
        probe_concepts(films[:1], truth, FPS, seed=0)


def test_a_film_that_the_truth_does_not_know_is_named(encoded_film: MakeFilm) -> None:
    films, truth = planted(encoded_film, 0, shuffled=False)
    stranger = encoded_film("stranger.mp4", films[0].encoded.video_BE, films[0].encoded.audio_BE)
    with pytest.raises(UsageError, match=r"truth\.json does not mention stranger\.mp4; take it out of the folder"):
        probe_concepts([*films, stranger], truth, FPS, seed=0)


def test_films_without_whole_shots_are_refused(encoded_film: MakeFilm) -> None:
    films, truth = planted(encoded_film, 0, shuffled=False)
    none = tuple(TruthFilm(file=film.file, shots=()) for film in truth.films)
    with pytest.raises(UsageError, match=r"hold too few whole shots for a probe; render longer films, or more"):
        probe_concepts(films, Truth(concepts=truth.concepts, films=none), FPS, seed=0)


def test_the_truth_of_rendered_films_is_read(films: Path) -> None:
    truth = read_truth(films)
    written = json.loads((films / "truth.json").read_text())
    assert len(truth.concepts) == 16
    assert [film.file for film in truth.films] == ["film-000.mp4", "film-001.mp4", "film-002.mp4"]
    assert [shot.concept for shot in truth.films[1].shots] == [shot["concept"] for shot in written["films"][1]["shots"]]


@pytest.mark.parametrize("text", [None, "{", '{"films": []}'])
def test_a_folder_without_whole_truth_is_told_how_to_get_it(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "truth.json").write_text(text)
    with pytest.raises(UsageError, match=r"has no truth of rendered films \(truth\.json is missing or damaged\); make"):
        read_truth(tmp_path)


def test_a_probe_fitted_on_some_films_is_scored_on_each_of_the_others(encoded_film: MakeFilm) -> None:
    fit = FilmsWithTruth(*planted(encoded_film, 0, shuffled=False))
    films, truth = planted(encoded_film, 1, shuffled=False)
    films[2] = planted(encoded_film, 1, shuffled=True)[0][2]  # one film shows other things than its truth says
    shown_N, truth_N = (
        films[2].encoded.video_BE.argmax(1).numpy(),
        np.array([shot.concept for shot in truth.films[2].shots]),
    )
    accuracy_F = probe_other_films(fit, FilmsWithTruth(films, truth), FPS, "video")
    expected = [1.0] * FILMS
    expected[2] = float((shown_N == truth_N).mean())
    assert expected[2] < 0.6
    assert accuracy_F.tolist() == expected


def test_a_film_without_a_whole_shot_cannot_be_scored(encoded_film: MakeFilm) -> None:
    fit = FilmsWithTruth(*planted(encoded_film, 0, shuffled=False))
    films, truth = planted(encoded_film, 1, shuffled=False)
    empty = truth.films[0].model_copy(update={"shots": ()})
    without = Truth(concepts=truth.concepts, films=(empty, *truth.films[1:]))
    with pytest.raises(UsageError, match="too few whole shots"):
        probe_other_films(fit, FilmsWithTruth(films, without), FPS, "audio")
