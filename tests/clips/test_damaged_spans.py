"""What a decoder patched up is never learnt from: damaged spans are kept out of the plan."""

from pathlib import Path

import pytest

from talkies.clips import ClipConfig, open_for_training
from talkies.core import FilmId, Span
from talkies.library import SHOT, FilmRecord, Library, Reason, Verdict, write_json, write_marks
from talkies.sampling import SamplingConfig

FRAMES = 960


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        ([], (Span(0, FRAMES),)),
        ([Span(100, 120)], (Span(0, 100), Span(120, FRAMES))),
        ([Span(0, 16), Span(300, 301), Span(950, FRAMES)], (Span(16, 300), Span(301, 950))),
    ],
)
def test_clips_are_drawn_from_what_is_whole(damaged: list[Span], expected: tuple[Span, ...], tmp_path: Path) -> None:
    library = Library.create(tmp_path / "library")
    for film_id in ("a" * 16, "b" * 16):
        reasons = (Reason(code="damaged_packets", text="3 of 960 video packets"),) if damaged else ()
        record = FilmRecord(
            film_id=film_id,
            source=f"/films/{film_id[0]}.mp4",
            source_bytes=1,
            verdict=Verdict.WARNED if damaged else Verdict.ACCEPTED,
            reasons=reasons,
            duration_seconds=FRAMES / 16,
            frames=FRAMES,
            shots=1,
        )
        with library.committing(FilmId(film_id)) as folder:
            write_marks(folder / "shots.parquet", {SHOT: [Span(0, FRAMES)], "damaged": damaged})
            write_json(folder / "film.json", record)
    clip = ClipConfig(frames=16, fps=16, audio_seconds=2.0)
    clips = open_for_training(library.root, clip, SamplingConfig(films_per_batch=2, clips_per_film=2), seed=0)
    assert clips.plan.films.spans == (expected, expected)
