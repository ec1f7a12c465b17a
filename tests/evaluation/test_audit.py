"""The audit on planted embeddings with known answers: recognisers of films, recognisers of moments, and guesses."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkies.core import Embeddings
from talkies.evaluation.audit.films import AuditedFilm
from talkies.evaluation.audit.measure import AuditInputs, compute_reference_levels, measure_cues, measure_model
from talkies.evaluation.audit.values import AuditedModel, Estimate
from talkies.evaluation.audit.verdict import decide_verdict, explain_verdict
from talkies.runs import Encoded

FILMS, CLIPS, DIM, FPS, WINDOW = 8, 30, 32, 16, 16


def film_of(number: int, video_ND: Tensor, audio_ND: Tensor, palette_NE: Tensor | None = None) -> AuditedFilm:
    start_N = WINDOW * np.arange(len(video_ND))
    video_ND, audio_ND = functional.normalize(video_ND), functional.normalize(audio_ND)
    embeddings = Embeddings(
        video_ND, audio_ND, torch.zeros(len(video_ND), dtype=torch.int64), torch.from_numpy(start_N)
    )
    cue_NE = (palette_NE if palette_NE is not None else video_ND).numpy()
    cues = {"palette": cue_NE, "loudness": cue_NE, "spectrum": cue_NE}
    encoded = {"trained": Encoded(embeddings, video_ND, audio_ND)}
    return AuditedFilm(f"{number:016x}", f"film-{number}.mp4", start_N, encoded, cues)


def planted(film: float, moment: float, seed: int = 0, noise: float = 1.0, films: int = FILMS) -> list[AuditedFilm]:
    """Films whose embeddings are a code of the film, a code of the moment that both towers share, and noise of each."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number in range(films):
        code_D = torch.randn(DIM, generator=generator)
        both_ND, *own = (torch.randn(CLIPS, DIM, generator=generator) for _ in range(3))
        made.append(film_of(number, *(film * code_D + moment * both_ND + noise * each_ND for each_ND in own)))
    return made


def measured(films: Sequence[AuditedFilm], seed: int = 0) -> AuditedModel:
    return measure_model(AuditInputs.of(films, WINDOW, FPS, seed), "trained", 7, "stamp")


def holds(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


@pytest.fixture(scope="module")
def recogniser() -> AuditedModel:
    return measured(planted(film=4.0, moment=0.0))


@pytest.fixture(scope="module")
def teller() -> AuditedModel:
    return measured(planted(film=0.0, moment=2.0))


@pytest.fixture(scope="module")
def guesser() -> AuditedModel:
    return measured(planted(film=0.0, moment=0.0))


def test_a_pure_recogniser_of_films_leans_on_the_film(recogniser: AuditedModel) -> None:
    retrieval, lifts = recogniser.retrieval, recogniser.lifts
    assert recogniser.verdict == "leans_on_film"
    assert recogniser.film_reliance.mean == pytest.approx(1, abs=0.02)
    for field in ("video_features", "audio_features", "video_embeddings", "audio_embeddings"):
        assert getattr(recogniser.film_probe, field).mean == 1
    for k in (1, 5, 10):
        assert holds(retrieval.within_film.both.at(k), k / CLIPS)
        assert holds(retrieval.across_films.both.at(k), k / CLIPS)  # as the reference level says
        assert holds(retrieval.shuffled.both.at(k), k / CLIPS)
        assert holds(retrieval.across_films_means_removed.both.at(k), k / (FILMS * CLIPS))
    assert holds(lifts.across_films, FILMS)
    assert holds(lifts.within_film, 1)
    assert lifts.film_share is not None
    assert holds(lifts.film_share, 1)


def test_a_pure_teller_of_moments_tells_moments_apart(teller: AuditedModel) -> None:
    assert teller.verdict == "tells_moments_apart"
    for field in ("video_features", "audio_features", "video_embeddings", "audio_embeddings"):
        assert holds(getattr(teller.film_probe, field), 1 / FILMS)
    retrieval = teller.retrieval
    for k in (1, 5, 10):
        before, after = retrieval.across_films.both.at(k), retrieval.across_films_means_removed.both.at(k)
        assert after.mean == pytest.approx(before.mean, abs=0.05)
    assert retrieval.within_film.both.recall_at_1.mean > 0.8
    assert teller.film_reliance.mean < 0.2


def test_nothing_can_be_told_of_a_guesser(guesser: AuditedModel) -> None:
    assert guesser.verdict == "cannot_tell"
    chance = compute_reference_levels(AuditInputs.of(planted(0.0, 0.0), WINDOW, FPS, 0))
    for k in (1, 5, 10):
        assert holds(guesser.retrieval.across_films.both.at(k), chance.across_films.at(k))
        assert holds(guesser.retrieval.within_film.both.at(k), chance.within_film.at(k))


def test_knowing_both_leans_on_the_film_only_where_the_film_outweighs() -> None:
    little, much = measured(planted(film=0.3, moment=2.0)), measured(planted(film=3.0, moment=1.0))
    assert (little.verdict, much.verdict) == ("tells_moments_apart", "leans_on_film")
    assert little.film_reliance.mean < much.film_reliance.mean
    assert much.retrieval.within_film.both.recall_at_1.mean > 2 / CLIPS  # it does tell moments as well


def test_two_films_cannot_bear_a_verdict() -> None:
    assert measured(planted(4.0, 2.0, films=2)).verdict == "cannot_tell"


def test_shuffled_films_are_identified_at_chance() -> None:
    films = planted(film=4.0, moment=0.0)
    video_ND = torch.cat([film.encoded["trained"].embeddings.video_BD for film in films])
    mixed = video_ND[torch.randperm(len(video_ND), generator=torch.Generator().manual_seed(1))].split(CLIPS)
    found = measured([film_of(number, rows, rows) for number, rows in enumerate(mixed)])
    assert holds(found.film_probe.video_embeddings, 1 / FILMS)


def test_the_lift_is_exactly_the_film_part_and_the_moment_part(teller: AuditedModel, recogniser: AuditedModel) -> None:
    for model in (teller, recogniser):
        lifts = model.lifts
        assert lifts.film_nats is not None
        assert lifts.moment_nats is not None
        assert lifts.film_nats + lifts.moment_nats == pytest.approx(np.log(lifts.across_films.mean))


def test_the_order_of_films_changes_nothing() -> None:
    films = planted(film=1.0, moment=1.0)
    assert measured(films) == measured(films[::-1])


def test_the_seed_moves_the_resamples_alone() -> None:
    films = planted(film=1.0, moment=1.0)
    first, again, other = (measured(films, seed) for seed in (0, 0, 1))
    assert first.model_dump_json() == again.model_dump_json()
    assert first.lifts != other.lifts
    assert first.retrieval == other.retrieval


def test_shortcut_cues_are_probed_like_features() -> None:
    generator = torch.Generator().manual_seed(5)
    noise = [torch.randn(CLIPS, 3, generator=generator) for _ in range(FILMS)]
    corners = [torch.tensor([number & 1, number & 2, number & 4]).bool().float() for number in range(FILMS)]
    for strength, told in ((20, 1.0), (0, 1 / FILMS)):
        rows = [each + strength * corner for each, corner in zip(noise, corners, strict=True)]
        films = [film_of(number, each, each, palette_NE=each) for number, each in enumerate(rows)]
        palette = measure_cues(AuditInputs.of(films, WINDOW, FPS, 0)).palette
        assert holds(palette, told)
        assert palette.mean == pytest.approx(told, abs=0.1)


def test_a_model_that_finds_nothing_at_all_has_no_parts() -> None:
    eye_ND = torch.eye(60).split(30)
    found = measured([film_of(number, rows, rows.roll(1, 0)) for number, rows in enumerate(eye_ND)])
    assert found.lifts.across_films.mean == 0
    assert (found.lifts.film_nats, found.lifts.film_share, found.lifts.within_over_across) == (None, None, None)


def test_words_say_the_verdict_and_the_numbers(recogniser: AuditedModel, teller: AuditedModel) -> None:
    chance = compute_reference_levels(AuditInputs.of(planted(0.0, 0.0), WINDOW, FPS, 0))
    sizes = [CLIPS] * FILMS
    leans, tells = (explain_verdict(model, chance, sizes) for model in (recogniser, teller))
    assert leans.startswith("This model leans on the film’s shortcut cues: ")
    assert "its music), not what happens in it." in leans
    assert "3.3 % of the time" in leans
    both = explain_verdict(measured(planted(film=3.0, moment=1.0)), chance, sizes)
    assert "its music), and what happens in it only after that." in both
    assert tells.startswith("This model tells moments apart within films: ")
    assert "more often than by chance" in tells
    few = recogniser.model_copy(update={"verdict": "cannot_tell"})
    assert "2 films and 60 clips are too few to judge by" in explain_verdict(few, chance, [30, 30])


@pytest.mark.parametrize(
    ("reliance", "within", "verdict"),
    [
        ((0.6, 0.4, 0.8), (0.5, 0.4, 0.6), "leans_on_film"),
        ((0.6, -0.1, 1.3), (0.5, 0.4, 0.6), "tells_moments_apart"),  # the reliance may be none
        ((0.4, 0.3, 0.5), (0.5, 0.4, 0.6), "tells_moments_apart"),
        ((0.4, 0.3, 0.5), (0.04, 0.01, 0.07), "leans_on_film"),  # what little it finds is the film
        ((0.4, -0.1, 0.9), (0.04, 0.01, 0.07), "cannot_tell"),
    ],
)
def test_the_rules_of_the_verdict(reliance: tuple[float, ...], within: tuple[float, ...], verdict: str) -> None:
    chance = compute_reference_levels(AuditInputs.of(planted(0.0, 0.0), WINDOW, FPS, 0))
    values = [Estimate(mean=mean, low=low, high=high) for mean, low, high in (reliance, within)]
    assert decide_verdict([CLIPS] * FILMS, *values, chance) == verdict
    assert decide_verdict([CLIPS] * 2, *values, chance) == "cannot_tell"
    assert decide_verdict([8] * 5, *values, chance) == "cannot_tell"
