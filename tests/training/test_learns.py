"""The purpose of the package: from unlabelled films, the model learns what happens in films it has never seen."""

from pathlib import Path

import pytest

from search_truth import COMPARISONS, check_first_hits, measure_concept_share
from talkies.evaluation import evaluate
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.evaluation.results import Result
from talkies.ingestion import ingest
from talkies.library import Profile
from talkies.retrieval.index import embed
from talkies.retrieval.search import Searcher
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

pytestmark = pytest.mark.slow

STEPS = 200
FILMS = SynthConfig(
    seconds=20.0,
    fps=16,
    width=96,
    height=64,
    mark_strength=0.2,
    shot_seconds_min=2.0,
    shot_seconds_max=2.0,
)
RECIPE = (
    f"training.steps={STEPS}",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=8",
    "transforms.video.size=32",
    "transforms.video.crop_area_min=1.0",
    "transforms.video.flip=0.0",
    "transforms.audio.mels=40",
    "objective.temperature=0.2",
    "optimiser.warmup_steps=5",
    "loader.workers=0",
)


def recall(result: Result, count: int) -> float:
    """How often the counterpart is among the best of its film, the mean of both directions."""
    directions = ("video_to_audio", "audio_to_video")
    return sum(result.metrics[f"within_film_{way}_recall_at_{count}"].mean for way in directions) / 2


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run, and films that it has never seen."""
    folder = tmp_path_factory.mktemp("learns")
    render_films(folder / "seen", 8, FILMS, seed=2)
    render_films(folder / "unseen", 4, FILMS, seed=3)
    library = ingest([folder / "seen"], folder / "lib", profile=Profile(short_side=64)).library
    pretrain(library.root, resolve("tiny", RECIPE), folder / "run")
    return folder


@pytest.mark.slow
def test_a_trained_model_tells_apart_the_moments_of_films_it_has_never_seen(workspace: Path) -> None:
    untrained, trained = (evaluate("retrieval", workspace / "run", workspace / "unseen", step) for step in (0, STEPS))
    chance = trained.protocol["chance"]["within_film_video_to_audio_recall_at_5"]
    assert chance == 5 / 20
    assert recall(untrained, 5) == pytest.approx(chance, abs=0.1)
    assert recall(trained, 5) > recall(untrained, 5) + 0.12  # it was 0.54
    assert recall(trained, 10) > recall(untrained, 10) + 0.15  # it was 0.84


@pytest.mark.slow
def test_a_search_finds_the_concept_in_other_films_and_an_excerpt_where_it_was_taken_from(
    workspace: Path, tmp_path: Path
) -> None:
    library = ingest([workspace / "unseen"], tmp_path / "lib", profile=Profile(short_side=64)).library
    embed(library.root, workspace / "run", stride_seconds=0.5)
    searcher, truth = Searcher(library), read_truth(workspace / "unseen")
    for from_, to in COMPARISONS:
        share, chance = measure_concept_share(searcher, truth, from_, to)
        print(f"{from_} → {to}: {share:.3f}, by chance {chance:.3f}")
        assert share > 1.3 * chance
    found = check_first_hits([searcher], 12, tmp_path)
    print({kind: sum(hits) for kind, hits in found.items()})
    assert sum(found[0.5, "both", "both"]) >= 11
