"""Embedding a library: every film once, every clip with its time, every model in its own set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from talkies.clips import ClipSource, collate
from talkies.core import ClipRequest, FilmId, LibraryError, RunError, Span, UsageError
from talkies.ingestion import ingest
from talkies.library import FilmEntry, Library, Profile
from talkies.retrieval.index import EmbedReport, VectorIndex, embed
from talkies.retrieval.index.vector_index import SCHEMA_VERSION
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films


@pytest.fixture(scope="module")
def shelf(new_shelf: Callable[[], Library]) -> Library:
    """A library that is embedded with the first run; read only."""
    return new_shelf()


@pytest.fixture(scope="module")
def report(shelf: Library, run: Path) -> EmbedReport:
    """What its embedding came to."""
    return embed(shelf.root, run)


def test_every_film_gets_one_clip_each_second(shelf: Library, report: EmbedReport) -> None:
    index = VectorIndex(shelf)
    for film in shelf.films():
        rows = index.read_rows(report.entry.stamp, film.id)
        rows = rows[~rows.of_shot_B]
        assert rows.start_B.tolist() == [float(second) for second in range(12)]
        assert rows.end_B.tolist() == [second + 1.0 for second in range(12)]


def test_every_shot_has_a_clip_in_its_middle_and_every_clip_knows_its_shot(shelf: Library, report: EmbedReport) -> None:
    for film in shelf.films():
        rows, shots = VectorIndex(shelf).read_rows(report.entry.stamp, film.id), shelf.shots_of(film.id)
        own = rows[rows.of_shot_B]
        assert own.shot_B.tolist() == list(range(len(shots)))
        for start, shot in zip(own.start_B * 16, shots, strict=True):
            middle = (shot.start_frame + shot.end_frame) / 2
            assert abs(start + 8 - middle) <= 0.5 or start in (0, 12 * 16 - 16)
        for start, shot in zip(rows.start_B * 16, rows.shot_B, strict=True):
            assert int(start) + 8 in shots[shot]


def shots(shelf: Library) -> int:
    """How many shots its films have."""
    return sum(film.shots for film in shelf.films())


def test_the_report_counts_what_was_added(shelf: Library, report: EmbedReport, run: Path) -> None:
    assert (report.films, report.clips, report.reused, report.too_short) == (3, 36 + shots(shelf), 0, ())
    entry, encoder = report.entry, load_encoder(run)
    assert (entry.stamp, entry.step, entry.dim, entry.run) == (encoder.stamp, 2, 128, str(run))
    assert (entry.clip_seconds, entry.stride_seconds) == (1.0, 1.0)
    assert VectorIndex(shelf).list_sets() == [entry]


def test_what_is_stored_is_what_the_encoders_make_of_the_very_clip(
    shelf: Library, report: EmbedReport, run: Path
) -> None:
    encoder, film = load_encoder(run), shelf.films()[1]
    source = ClipSource(shelf, encoder.shape)
    rows = VectorIndex(shelf).read_rows(report.entry.stamp, film.id)
    for place in range(0, len(rows), 5):
        start = round(rows.start_B[place] * shelf.profile.fps)
        clip = source.read(ClipRequest(film.id, Span(start, start + 16)))
        anew = encoder.encode(collate([clip])).embeddings
        np.testing.assert_allclose(rows.video_BD[place], anew.video_BD[0].numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(rows.audio_BD[place], anew.audio_BD[0].numpy(), rtol=0, atol=1e-5)


def test_stored_embeddings_have_unit_length_and_differ_from_clip_to_clip(shelf: Library, report: EmbedReport) -> None:
    rows = VectorIndex(shelf).read_rows(report.entry.stamp, shelf.films()[0].id)
    for vectors in (rows.video_BD, rows.audio_BD):
        vectors_BD = torch.tensor(vectors[~rows.of_shot_B])
        torch.testing.assert_close(vectors_BD.norm(dim=1), torch.ones(12))
        assert len(torch.unique(vectors_BD, dim=0)) == 12


def test_a_second_embedding_adds_nothing(new_shelf: Callable[[], Library], run: Path) -> None:
    shelf, seen = new_shelf(), list[tuple[str, int]]()
    first = embed(shelf.root, run)
    index = VectorIndex(shelf)
    before = index.read_rows(first.entry.stamp).to_table()

    def on_film(film: FilmEntry, total: int) -> None:
        seen.append((film.film_id, total))

    again = embed(shelf.root, run, on_film=on_film)
    assert (again.films, again.clips, again.reused) == (0, 0, 3)
    assert seen == [(film.film_id, 3) for film in shelf.films()]
    assert index.read_rows(first.entry.stamp).to_table() == before


def test_only_a_film_that_is_new_is_embedded(new_shelf: Callable[[], Library], run: Path, tmp_path: Path) -> None:
    shelf = new_shelf()
    embed(shelf.root, run)
    render_films(tmp_path / "more", 1, SynthConfig(seconds=3.0), seed=70)
    film = ingest([tmp_path / "more"], shelf.root).films[0].record
    report = embed(shelf.root, run)
    assert (report.films, report.clips, report.reused) == (1, 3 + film.shots, 3)
    assert len(VectorIndex(shelf).read_rows(report.entry.stamp, film.id)) == 3 + film.shots


def test_a_film_that_was_cut_short_by_an_interruption_is_embedded_the_next_time(
    new_shelf: Callable[[], Library], run: Path
) -> None:
    shelf = new_shelf()

    def stop_at_once(film: FilmEntry, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(shelf.root, run, on_film=stop_at_once)
    report = embed(shelf.root, run)
    assert (report.films, report.reused) == (2, 1)
    assert len(VectorIndex(shelf).read_rows(report.entry.stamp)) == 36 + shots(shelf)


def test_a_film_shorter_than_a_clip_is_named_and_left_out(
    new_shelf: Callable[[], Library], other_run: Path, tmp_path: Path
) -> None:
    shelf = new_shelf()
    render_films(tmp_path / "more", 1, SynthConfig(seconds=1.5, shot_seconds_min=1.0), seed=71)
    film = ingest([tmp_path / "more"], shelf.root).films[0].record
    report = embed(shelf.root, other_run, stride_seconds=4.0)
    assert (report.films, report.clips, report.too_short) == (3, 9 + shots(shelf) - film.shots, (film.name,))
    assert len(VectorIndex(shelf).read_rows(report.entry.stamp, film.id)) == 0


def test_two_models_make_two_sets_that_never_mix(new_shelf: Callable[[], Library], run: Path, other_run: Path) -> None:
    shelf = new_shelf()
    first, other = embed(shelf.root, run).entry, embed(shelf.root, other_run).entry
    index = VectorIndex(shelf)
    assert {entry.stamp for entry in index.list_sets()} == {first.stamp, other.stamp}
    assert (index.choose(first.stamp), index.choose(other.stamp)) == (first, other)
    film = shelf.films()[0].id
    for entry, seconds in ((first, 1.0), (other, 2.0)):
        rows = index.read_rows(entry.stamp, film)
        assert set(rows.end_B - rows.start_B) == {seconds}
    with pytest.raises(LibraryError, match=r"holds embeddings of 2 models: .*name one with --run RUN"):
        index.choose()


def test_a_set_is_not_gone_on_with_at_another_stride(shelf: Library, report: EmbedReport, run: Path) -> None:
    sentence = r"has this model's embeddings every 1 s, not every 0\.5 s; use the same stride"
    with pytest.raises(LibraryError, match=sentence):
        embed(shelf.root, run, stride_seconds=0.5)
    assert VectorIndex(shelf).list_sets() == [report.entry]


@pytest.mark.parametrize("stride", [0.0, -1.0, float("nan"), float("inf")])
def test_a_stride_that_is_none_is_refused(shelf: Library, run: Path, stride: float) -> None:
    with pytest.raises(UsageError, match=r"^a stride must be above 0 s and finite, got "):
        embed(shelf.root, run, stride_seconds=stride)


def test_a_set_of_a_newer_version_is_refused(new_shelf: Callable[[], Library], run: Path) -> None:
    shelf = new_shelf()
    embed(shelf.root, run)
    (path,) = shelf.index_folder.glob("*.json")
    path.write_text(path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    sentence = rf"json is of schema version 99, this talkies reads up to {SCHEMA_VERSION}; install a newer"
    with pytest.raises(LibraryError, match=sentence):
        VectorIndex(shelf).list_sets()


def test_a_library_of_another_profile_is_refused_and_stays_as_it_is(films: Path, run: Path, tmp_path: Path) -> None:
    other = ingest([films / "film-000.mp4"], tmp_path / "lib", profile=Profile(fps=8, gop=8)).library
    with pytest.raises(LibraryError, match=r"lib has another profile \(fps=8 .*\) than the films of .*run \(fps=16 "):
        embed(other.root, run)
    assert not other.index_folder.exists()


def test_without_a_run_or_a_library_nothing_is_made(
    new_shelf: Callable[[], Library], run: Path, tmp_path: Path
) -> None:
    shelf = new_shelf()
    with pytest.raises(RunError, match=r"none does not exist; make a run with"):
        embed(shelf.root, tmp_path / "none")
    assert not shelf.index_folder.exists()
    with pytest.raises(LibraryError, match=r"nothing does not exist; make a library with: talkies ingest FILMS"):
        embed(tmp_path / "nothing", run)
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_the_set_lacks_has_no_rows(shelf: Library, report: EmbedReport) -> None:
    assert len(VectorIndex(shelf).read_rows(report.entry.stamp, FilmId("0" * 16))) == 0
