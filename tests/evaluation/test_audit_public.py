"""The audit of public encoders: one modality by itself, the twin, and what the page and its words say."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_checkpoints
import small_sound_checkpoints
import torch
from torch import Tensor
from torch.nn import functional

from talkies.core import UsageError
from talkies.evaluation.audit import audit, report_path, write_audit
from talkies.evaluation.audit.neighbours import count_pairs, decide_modality_verdict, measure_neighbours
from talkies.evaluation.audit.page import render_audit_page
from talkies.evaluation.audit.twin import shuffle_weights
from talkies.evaluation.audit.values import Audit, ChanceRecalls, Estimate, Neighbours
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films

pytestmark = pytest.mark.slow

FILMS, CLIPS, DIM = 8, 30, 32


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"hf:{small_checkpoints.save_clip(tmp_path_factory.mktemp('clip') / 'clip')}"


@pytest.fixture(scope="module")
def both(clip: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("w2v") / "w2v"
    small_sound_checkpoints.save_wav2vec2(folder)
    return f"video={clip},audio=hf:{folder}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three films of 18 s: nine clips of CLIP's usual four frames at two a second."""
    root = tmp_path_factory.mktemp("long")
    render_films(root / "films", 3, SynthConfig(seconds=18.0), seed=7)
    return ingest([root / "films"], root / "lib").library


def planted(film: float, moment: float, seed: int = 0) -> list[Tensor]:
    """Rows of films: a code of the film, a code that each two neighbours share, and noise."""
    generator = torch.Generator().manual_seed(seed)
    films = []
    for _ in range(FILMS):
        code_D = torch.randn(DIM, generator=generator)
        shared_ND = torch.randn(CLIPS // 3, DIM, generator=generator).repeat_interleave(3, 0)
        noise_ND = torch.randn(CLIPS, DIM, generator=generator)
        films.append(functional.normalize(film * code_D + moment * shared_ND + noise_ND))
    return films


def search(rows: list[Tensor], cue: list[Tensor]) -> Neighbours:
    return measure_neighbours(rows, cue, [CLIPS] * FILMS)


NOTHING = planted(0, 0, seed=9)


def test_a_recogniser_of_films_is_known_by_one_modality() -> None:
    found = search(planted(4, 0), NOTHING)
    assert found.verdict == "leans_on_film"
    assert found.film_reliance.mean == pytest.approx(1, abs=0.05)
    assert found.within_film.recall_at_1.low <= 1 / 10 <= found.within_film.recall_at_1.high
    assert found.chance == ChanceRecalls(recall_at_1=0.1, recall_at_5=0.5, recall_at_10=1)


def test_a_teller_of_moments_finds_more_than_the_cue() -> None:
    teller = planted(0, 3)
    assert search(teller, NOTHING).verdict == "tells_moments_apart"
    assert search(teller, NOTHING).gain.mean > 0.5
    assert abs(search(teller, NOTHING).film_reliance.mean) < 0.2
    as_much = search(teller, teller)
    assert (as_much.verdict, as_much.gain.mean) == ("cannot_tell", 0)  # the palette does as well


def test_a_guess_is_no_verdict() -> None:
    assert search(planted(0, 0), NOTHING).verdict == "cannot_tell"
    assert measure_neighbours(planted(0, 3)[:2], NOTHING[:2], [CLIPS] * 2).verdict == "cannot_tell"


@pytest.mark.parametrize(("clips", "pairs"), [(8, 3), (9, 3), (10, 3), (11, 4), (30, 10)])
def test_pairs_leave_a_clip_between_them(clips: int, pairs: int) -> None:
    assert count_pairs(clips) == pairs == len(range(1, clips, 3))


def test_the_rules_of_a_modality() -> None:
    chance = ChanceRecalls(recall_at_1=0.1, recall_at_5=0.5, recall_at_10=1)
    sure, unsure, zero = (Estimate(mean=0.3, low=low, high=0.5) for low in (0.2, 0.05, -0.1))
    sizes = [CLIPS] * FILMS
    assert decide_modality_verdict(sizes, zero, sure, sure, chance) == "tells_moments_apart"
    assert decide_modality_verdict(sizes, sure, sure, sure, chance) == "tells_moments_apart"  # the film as well
    assert decide_modality_verdict(sizes, sure, sure, zero, chance) == "cannot_tell"  # the cue does it too
    assert decide_modality_verdict(sizes, sure, unsure, sure, chance) == "leans_on_film"
    assert decide_modality_verdict(sizes, zero, unsure, zero, chance) == "cannot_tell"
    assert decide_modality_verdict([8, 8], sure, sure, sure, chance) == "cannot_tell"


def test_the_twin_has_the_same_numbers_in_another_order(clip: str) -> None:
    encoder = load_encoder(clip)
    twin, again = shuffle_weights(encoder, 0), shuffle_weights(encoder, 0)
    assert twin is not None
    assert again is not None
    assert twin.stamp == again.stamp != encoder.stamp
    for name, weight in encoder.model.state_dict().items():
        other = twin.model.state_dict()[name]
        torch.testing.assert_close(weight.flatten().sort().values, other.flatten().sort().values)
        assert weight.numel() < 10 or weight.unique().numel() < 3 or not torch.equal(weight, other), name
    assert load_encoder(clip).stamp == encoder.stamp  # itself unchanged


@pytest.fixture(scope="module")
def pictures_alone(clip: str, library: Library) -> Audit:
    return audit(clip, library.root)


def test_pictures_alone_are_audited(pictures_alone: Audit, clip: str, tmp_path: Path) -> None:
    report = pictures_alone
    assert (report.run, report.license, report.compared_with) == (f"video={clip}", "", "shuffled weights")
    assert report.trained.retrieval is report.trained.lifts is report.trained.film_reliance is None
    assert report.trained.neighbours.keys() == {"video"}
    assert report.trained.film_probe.audio_features is report.trained.film_probe.audio_embeddings is None
    assert report.untrained is not None
    assert report.untrained.model_stamp != report.trained.model_stamp
    assert "encodes video only" in report.words
    assert "Others trained these encoders, and talkies trained nothing of them." in report.words
    assert "with its weights shuffled" in report.words
    assert "before training" not in report.words

    page = render_audit_page(report)
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "<th>shuffled</th><th>model</th>" in page
    assert "untrained" not in page
    write_audit(report, tmp_path / "deep" / "page.html")
    assert Audit.model_validate_json((tmp_path / "deep" / "page.json").read_text()) == report


def test_pictures_and_sounds_in_two_spaces_are_judged_each(both: str, library: Library) -> None:
    report = audit(both, library.root)
    assert report.trained.retrieval is None
    assert report.trained.neighbours.keys() == report.cue_neighbours.keys() == {"video", "audio"}
    assert report.trained.film_probe.audio_embeddings is not None
    assert "lie in spaces of their own" in report.words


def test_pictures_and_sounds_in_one_space_are_compared(both: str, library: Library, monkeypatch: Any) -> None:
    """As PE-AV: both in one space of 24 dimensions."""

    def load(address: str, _step: int | None = None, **options: Any) -> Any:
        encoder = load_encoder(address, **options)
        encoder.joint = True
        encoder.model.audio_head = torch.nn.Linear(16, encoder.dims["video"])
        encoder._dims["audio"] = encoder.dims["video"]
        return encoder

    monkeypatch.setattr(sys.modules["talkies.evaluation.audit.audit"], "load_model", load)
    report = audit(both, library.root)
    assert report.trained.retrieval is not None
    assert report.words.startswith("We cannot tell: 3 films")
    assert "Others trained these encoders" in report.words
    assert render_audit_page(report).count("data:image/svg+xml;base64,") == 4


def test_public_encoders_have_no_steps(clip: str, library: Library) -> None:
    with pytest.raises(UsageError, match=r"\S+ was not trained here, so it has no steps; leave --step out"):
        audit(clip, library.root, step=1)


def test_the_report_has_a_place_of_its_own(clip: str, both: str) -> None:
    paths: list[Path] = [report_path(model, None) for model in (clip, both)]
    assert [path.parent for path in paths] == [Path("results") / "audits"] * 2
    assert len({path.name for path in paths}) == 2
    assert report_path("run", None) == Path("run") / "audit.html"


def test_a_film_recogniser_and_a_teller_differ_in_words(pictures_alone: Audit) -> None:
    from talkies.evaluation.audit.explanation import explain_modalities, explain_probe

    cue = {"video": search(planted(0, 1), NOTHING)}
    told: dict[str, str] = {}
    explain: Callable[..., str] = explain_modalities
    for name, rows in {"leans": planted(4, 0), "tells": planted(0, 4), "guesses": planted(0, 0)}.items():
        found = measure_neighbours(rows, NOTHING, [CLIPS] * FILMS)
        model = pictures_alone.trained.model_copy(update={"neighbours": {"video": found}})
        told[name] = explain(model, cue, [CLIPS] * FILMS, "it encodes video only")
    assert "By its pictures, this model merely recognises films: " in told["leans"]
    assert (
        "By its pictures, this model tells moments apart within films, and not only by the palette: " in told["tells"]
    )
    assert "Of its pictures we cannot tell: " in told["guesses"]
    assert "(" not in explain_probe(pictures_alone.trained, None, "nothing")
    assert np.isfinite(cue["video"].film_reliance.mean)
