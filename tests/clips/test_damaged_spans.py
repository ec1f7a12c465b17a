"""Spans that no clip is drawn from: excluded annotations, damaged parts, skipped ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.clips import ClipConfig, SamplingConfig, TrainingClips, open_training_clips
from talkies.core import FilmId, PlanError, Span
from talkies.library import SHOT, FilmRecord, Library, Reason, Verdict, write_annotations, write_json

FRAMES = 960
CLIP = ClipConfig(frames=16, fps=16, audio_seconds=2.0)
MARKS = {
    "black": [Span(0, 40)],
    "credits": [Span(900, FRAMES)],
    "damaged": [Span(500, 501)],
    "silent": [Span(30, 60), Span(200, 260)],
    "still": [Span(250, 300)],
    SHOT: [Span(0, 140), Span(140, 400), Span(400, 700), Span(700, FRAMES)],
}
Marks = dict[str, list[Span]]
Make = Callable[..., Library]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The function that makes a library of two films of a minute with these marks."""

    def library_of(marks: Marks, listed: bool = True) -> Library:
        library = Library.create(tmp_path / "library")
        for film_id in ("a" * 16, "b" * 16):
            reasons = (Reason(code="damaged_packets", text="3 of 960 video packets"),) if "damaged" in marks else ()
            record = FilmRecord(
                film_id=film_id,
                source=f"/films/{film_id[0]}.mp4",
                source_bytes=1,
                verdict=Verdict.WARNED if reasons else Verdict.ACCEPTED,
                reasons=reasons,
                duration_seconds=FRAMES / 16,
                frames=FRAMES,
                shots=len(marks.get(SHOT, ())),
            )
            with library.commit_film(FilmId(film_id)) as folder:
                write_annotations(folder / "shots.parquet", marks)
                write_json(folder / "film.json", record)
        if listed:
            library.update_catalogue()
        return library

    return library_of


def opened(library: Library, films_per_batch: int = 2, clips_per_film: int = 2, **sampling: object) -> TrainingClips:
    config = SamplingConfig(films_per_batch=films_per_batch, clips_per_film=clips_per_film, **sampling)  # type: ignore[arg-type]
    return open_training_clips(library.root, CLIP, config, seed=0)


def eligible(clips: TrainingClips) -> list[list[Span]]:
    spans = clips.plan.films.spans
    return [spans.list_spans(film) for film in range(len(spans))]


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        ([], [Span(0, FRAMES)]),
        ([Span(100, 120)], [Span(0, 100), Span(120, FRAMES)]),
        ([Span(0, 16), Span(300, 301), Span(950, FRAMES)], [Span(16, 300), Span(301, 950)]),
    ],
)
@pytest.mark.parametrize("exclude", [(), ("black", "silent", "still", "credits")])
def test_clips_are_drawn_from_what_is_whole_whatever_else_is_excluded(
    make: Make, damaged: list[Span], expected: list[Span], exclude: tuple[str, ...]
) -> None:
    library = make({SHOT: [Span(0, FRAMES)], "damaged": damaged})
    assert eligible(opened(library, exclude=exclude)) == [expected, expected]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ({}, [Span(60, 200), Span(300, 500), Span(501, 900)]),
        ({"exclude": ()}, [Span(0, 500), Span(501, FRAMES)]),
        ({"exclude": ("silent",)}, [Span(0, 30), Span(60, 200), Span(260, 500), Span(501, FRAMES)]),
        ({"exclude": ("black", "still")}, [Span(40, 250), Span(300, 500), Span(501, FRAMES)]),
        ({"exclude": ("credits",)}, [Span(0, 500), Span(501, 900)]),
        ({"skip_first_seconds": 5}, [Span(80, 200), Span(300, 500), Span(501, 900)]),
        ({"skip_last_seconds": 10.5}, [Span(60, 200), Span(300, 500), Span(501, 792)]),
        ({"exclude": (), "skip_first_seconds": 0.125, "skip_last_seconds": 1}, [Span(2, 500), Span(501, 944)]),
        ({"skip_first_seconds": 1, "skip_last_seconds": 2}, [Span(60, 200), Span(300, 500), Span(501, 900)]),
    ],
)
def test_what_is_marked_or_at_a_skipped_end_is_not_eligible(
    make: Make, sampling: dict[str, object], expected: list[Span], listed: bool
) -> None:
    assert eligible(opened(make(MARKS, listed), **sampling)) == [expected, expected]


def test_nothing_marked_or_skipped_is_ever_drawn_and_all_else_is(make: Make) -> None:
    plan = opened(make(MARKS), skip_first_seconds=5, skip_last_seconds=10, positives_within_seconds=4).plan
    drawn = [request for step in range(600) for request in plan.draw_batch(step)]
    never = [Span(0, 80), Span(800, FRAMES), *(span for kind in MARKS if kind != SHOT for span in MARKS[kind])]
    for request in drawn:
        assert not any(span.overlaps(request.window) or span.overlaps(request.audio_window) for span in never)
    seen = {frame for r in drawn for frame in range(r.window.start_frame, r.window.end_frame)}
    assert seen == {
        frame for span in (Span(80, 200), Span(300, 500), Span(501, 800)) for frame in range(960) if frame in span
    }


def test_with_one_clip_a_shot_the_shots_are_the_librarys(make: Make) -> None:
    plan = opened(make(MARKS), 2, 3, one_clip_per_shot=True).plan
    assert plan.films.shots is not None
    assert [plan.films.shots.list_spans(film) for film in range(2)] == [MARKS[SHOT]] * 2
    for step in range(100):
        clips = [request.window.start_frame + 16 for request in plan.draw_batch(step)]
        for middles in (clips[:3], clips[3:]):
            assert len({next(shot for shot in MARKS[SHOT] if middle in shot) for middle in middles}) == 3


def test_without_it_shots_are_not_asked_for(make: Make) -> None:
    assert opened(make(MARKS)).plan.films.shots is None


def test_films_that_their_marks_leave_too_little_of_are_named_by_their_file(make: Make) -> None:
    library = make({SHOT: [Span(0, FRAMES)], "black": [Span(40, FRAMES)]})
    with pytest.raises(PlanError, match=r"^2 films cannot give 2 clips a batch: a\.mp4 \(at most 1\), b\.mp4 "):
        opened(library)
    with pytest.raises(PlanError, match=r"^a batch takes 2 films and the library has 0 \(2 films too short for its"):
        opened(library, short_films="leave_out")


def test_ends_longer_than_the_film_leave_nothing_of_it(make: Make) -> None:
    with pytest.raises(PlanError, match=r"a\.mp4 \(at most 0\), b\.mp4 \(at most 0\); shorten "):
        opened(make(MARKS), skip_first_seconds=40, skip_last_seconds=40)
