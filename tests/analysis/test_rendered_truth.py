"""The analysis recovers what rendered films were made of: how many concepts, how they come back, and shortcut cues."""

from pathlib import Path

import numpy as np
import pytest
from rendered import concepts_at, rendered, small
from sklearn.metrics import adjusted_rand_score

from talkies.analysis import Analysis, analyse
from talkies.analysis.descriptors.describe_films import DescribedFilm, describe_films, plain_clip
from talkies.analysis.diversity import effective_number
from talkies.analysis.measure import measure_recurrence, probe_shortcut_cues
from talkies.analysis.values import CueProbe, FilmAnalysis
from talkies.synth import FilmScript

pytestmark = pytest.mark.slow

CONCEPTS = (2, 4, 8)
CLIP_SECONDS = 2.0


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, dict[str, FilmScript]]:
    """Films of 2, 4 and 8 concepts, analysed by hand-made features, and their scripts."""
    cut = {"shot_seconds_min": 4.1, "shot_seconds_max": 6.1, "places": 64, "mark_strength": 0.1, "seconds": 84.0}
    configs = {f"of-{count}": small(concepts_per_film=count, **cut) for count in CONCEPTS}
    library, scripts = rendered(tmp_path_factory.mktemp("truth"), configs, seed=20)
    return analyse(library.root), scripts


def film_of(found: Analysis, count: int) -> FilmAnalysis:
    return next(film for film in found.films if film.name == f"of-{count}.mp4")


def test_the_number_of_concepts_is_recovered(truth: tuple[Analysis, dict[str, FilmScript]]) -> None:
    found, scripts = truth
    for count in CONCEPTS:
        film = film_of(found, count)
        concept_N = concepts_at(scripts[film.name], np.array(film.start_seconds) + CLIP_SECONDS / 2)
        assert abs(film.sound.diversity.clusters - count) <= 1
        of_script = effective_number(np.bincount(concept_N).tolist())
        assert film.sound.diversity.effective_clusters == pytest.approx(of_script, rel=0.2)
        assert adjusted_rand_score(concept_N, film.sound.labels) > 0.7
    vendis = [film_of(found, count).sound.diversity.vendi for count in CONCEPTS]
    assert vendis == sorted(vendis)


def test_recurrence_is_that_of_the_script(truth: tuple[Analysis, dict[str, FilmScript]]) -> None:
    found, scripts = truth
    for count in CONCEPTS:
        film = film_of(found, count)
        start_N = np.array(film.start_seconds)
        concept_N = concepts_at(scripts[film.name], start_N + CLIP_SECONDS / 2)
        script, heard = measure_recurrence(concept_N, start_N, CLIP_SECONDS, film.seconds), film.sound.recurrence
        assert heard.same_share == pytest.approx(script.same_share, abs=0.08)
        assert heard.median_return_seconds == pytest.approx(script.median_return_seconds, rel=0.35, abs=2.5)
        pairs = [each.pairs for each in script.same_share_by_distance]
        apart = [
            abs((ours.share or 0) - (theirs.share or 0))
            for ours, theirs in zip(heard.same_share_by_distance, script.same_share_by_distance, strict=True)
        ]
        assert np.average(apart, weights=pairs) < 0.1


def test_few_concepts_call_for_fewer_clips_than_many(truth: tuple[Analysis, dict[str, FilmScript]]) -> None:
    found, _ = truth
    shares = [film_of(found, count).sound.recurrence.same_share for count in CONCEPTS]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_shortcut_cues_identify_films_that_have_them(strength: float, tmp_path: Path) -> None:
    config = small(seconds=20.0, mark_strength=strength, places=64, shot_seconds_min=0.6, shot_seconds_max=0.9)
    library, _ = rendered(tmp_path, {f"film-{number}": config for number in range(3)}, seed=50)
    described, _ = describe_films(library)
    fps = library.profile.fps
    probe = probe_shortcut_cues(described, plain_clip(fps).to_shape(fps).window_frames, fps)
    assert isinstance(probe, CueProbe)
    if strength:
        assert min(probe.palette.mean, probe.together.mean) > 0.9
    else:
        cues = (probe.palette, probe.loudness, probe.spectrum, probe.together)
        assert all(cue.low <= probe.chance <= cue.high for cue in cues)


@pytest.mark.parametrize("strength", [20.0, 0.0])
def test_planted_cues_identify_films_and_noise_does_not(strength: float) -> None:
    random = np.random.default_rng(2)
    films = [
        DescribedFilm(
            film_id=f"{number:016x}",
            name=f"{number}.mp4",
            seconds=80.0,
            start_N=32 * np.arange(40),
            across_cuts=False,
            blocks={},
            cues={
                name: (random.normal(size=(40, size)) + strength * random.normal(size=size)).astype(np.float32)
                for name, size in (("palette", 30), ("loudness", 2), ("spectrum", 64))
            },
        )
        for number in range(4)
    ]
    probe = probe_shortcut_cues(films, 32, 16)
    assert probe is not None
    for cue in (probe.palette, probe.brightness, probe.spectrum, probe.together):
        assert cue.mean == 1 if strength else cue.low <= probe.chance <= cue.high
    assert probe_shortcut_cues(films[:1], 32, 16) is None


def test_a_film_whose_name_looks_like_a_formula_is_drawn(truth: tuple[Analysis, dict[str, FilmScript]]) -> None:
    from talkies.analysis.figures import draw_diversity

    films = tuple(
        film.model_copy(update={"name": f"a$\\frac{{$\x1b\n\u202e{n}.mp4"}) for n, film in enumerate(truth[0].films)
    )
    assert draw_diversity(truth[0].model_copy(update={"films": films})).startswith("data:image/svg+xml")
