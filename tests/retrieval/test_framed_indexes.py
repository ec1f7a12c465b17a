"""`embed` frames pictures as it is asked, keeps that in the index, and searches by file do the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from talkies.core import LibraryError
from talkies.library import Library
from talkies.retrieval.index import VectorIndex, embed
from talkies.retrieval.search import Searcher


@pytest.mark.parametrize("framing", ["crops", "whole"])
def test_the_index_keeps_its_framing_and_refuses_another(
    new_shelf: Callable[[], Library], run: Path, framing: str
) -> None:
    shelf = new_shelf()
    report = embed(shelf.root, run, framing=framing)  # type: ignore[arg-type]
    entry = VectorIndex(shelf).choose()
    assert entry.framing == framing
    rows = VectorIndex(shelf).read_rows(entry.stamp)
    assert len(rows) == report.clips > 0
    assert np.allclose(np.linalg.norm(rows.video_BD, axis=1), 1, atol=1e-4)
    assert embed(shelf.root, run, framing=framing).clips == 0  # type: ignore[arg-type]  # resumed: nothing is left
    with pytest.raises(LibraryError, match=f"with the framing {framing}, not centre; use the same framing"):
        embed(shelf.root, run)


def test_an_older_index_has_the_middle_squares() -> None:
    from talkies.retrieval.index import EmbeddingSet

    entry = EmbeddingSet.model_validate(
        {"stamp": "abc", "run": "run", "step": 1, "dim": 8, "clip_seconds": 1.0, "stride_seconds": 1.0}
    )
    assert entry.framing == "centre"


def test_squares_that_follow_one_another_are_averaged_to_unit_rows() -> None:
    from talkies.core import Embeddings
    from talkies.retrieval.index.embed import average_squares

    rows_BD = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.manual_seed(0)), dim=1)
    numbers = torch.arange(6)
    averaged = average_squares(Embeddings(rows_BD, rows_BD.flip(0), numbers, numbers), 3)
    expected = rows_BD[:3].sum(0) / rows_BD[:3].sum(0).norm()
    assert torch.allclose(averaged.video_BD[0], expected, atol=1e-6)
    assert averaged.start_B.tolist() == [0, 3]


def test_a_clip_of_a_film_is_found_in_an_index_of_any_framing(
    new_shelf: Callable[[], Library], run: Path, films: Path
) -> None:
    for framing in ("crops", "whole"):
        shelf = new_shelf()
        embed(shelf.root, run, framing=framing)  # type: ignore[arg-type]
        searcher = Searcher(shelf)
        example = searcher.encode_example(films / "film-001.mp4")
        rows = VectorIndex(shelf).read_rows(searcher.entry.stamp, shelf.find("film-001.mp4").id)
        assert example.sequence is not None
        assert example.sequence.video_WD is not None
        of_stride = rows.video_BD[~rows.of_shot_B]
        agreement = (example.sequence.video_WD[: len(of_stride)] * of_stride).sum(1)
        assert agreement.min() > 0.98
