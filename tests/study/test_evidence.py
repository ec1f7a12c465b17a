"""The evidence behind the advice is what the studies found, as benchmarks/study_doc.py takes it from them."""

from collections import Counter
from pathlib import Path

import pytest
from little_study import little
from test_study_results import planted

import study_doc
from talkies.analysis.evidence import BY_HAND, Evidence, EvidenceRow, StudiedSampling, read_evidence, write_evidence
from talkies.study import StudyResults, read_scale
from talkies.study.evidence import list_evidence


def old_row(**changes: object) -> EvidenceRow:
    """A row that was there before."""
    values = {
        "source": f"{BY_HAND}, 2026-11-28", "kind": "rendered", "films": 32, "passes": 12.0,
        "sampling": StudiedSampling(clips_per_film=8), "against": StudiedSampling(clips_per_film=1),
        "measure": "concept_audio", "mean": 0.1, "verdict": "untested",
    }  # fmt: skip
    return EvidenceRow.model_validate(values | changes)


def test_the_file_is_what_the_script_makes_of_a_study(tmp_path: Path) -> None:
    path, composed = tmp_path / "evidence.json", old_row(source="study composed", kind="composed", verdict="better")
    write_evidence(path, Evidence(rows=(old_row(), composed, old_row(source="study little", mean=0.9))))
    gain = {"within_films-4_length-1": 0.2, "within_films-6_length-1": 0.0}
    results = planted(
        lambda arm, film_set, film: 0.4 + gain.get(arm, 0.0) + 0.01 * film_set * (arm in gain), little(film_sets=4)
    )
    study_doc.keep_evidence(results, path)
    kept = Evidence.model_validate_json(path.read_text(encoding="utf-8")).rows
    assert kept[0] == composed
    assert [(each.films, round(each.passes, 4), each.measure) for each in kept[1:]] == [
        (4, 0.3333, "concept_video"), (4, 0.3333, "concept_audio"),
        (6, 0.2222, "concept_video"), (6, 0.2222, "concept_audio"),
    ]  # fmt: skip  # 16 clips of a second in films of 12 s
    contrast = results.list_contrasts("claim")[0]
    first = kept[1]
    assert (first.source, first.kind, first.sampling.clips_per_film) == ("study little", "rendered", 2)
    assert (first.mean, first.low, first.high, first.verdict) == (
        contrast.mean, contrast.low, contrast.high, contrast.verdict,
    )  # fmt: skip
    assert first.mean == pytest.approx(0.215)
    assert first.verdict == "better"


@pytest.mark.parametrize(("name", "gains", "weights"), [("small", 12, 12), ("composed", 6, 6)])
def test_rows_compare_samplings_and_nothing_else(name: str, gains: int, weights: int) -> None:
    rows = list_evidence(planted(lambda *_: 0.5, read_scale(name).model_copy(update={"film_sets": 2})))
    assert Counter(each.is_gain for each in rows) == {True: gains, False: weights}
    assert sum(each.is_weight for each in rows) == weights
    assert {each.kind for each in rows} == {"rendered" if name == "small" else "composed"}


def test_the_shipped_evidence_is_that_of_the_kept_studies() -> None:
    for source in {each.source for each in read_evidence().rows if not each.source.startswith(BY_HAND)}:
        kept = study_doc.kept(source.removeprefix("study ")).read_text(encoding="utf-8")
        own = tuple(each for each in read_evidence().rows if each.source == source)
        assert own == list_evidence(StudyResults.model_validate_json(kept))
