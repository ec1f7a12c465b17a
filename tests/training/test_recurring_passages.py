"""What `talkies repeats` finds to come back is no negative: from its document to a run, and to a resumed one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from talkies.clips import TrainingClips, open_training_clips
from talkies.core import ConfigError, RunError
from talkies.library import Library
from talkies.objectives import Recurrences
from talkies.retrieval.recurrence.duplicates import Duplicate
from talkies.retrieval.recurrence.families import FilmSpan, PassageFamily, RepeatedPassage
from talkies.retrieval.recurrence.repeats import LibraryRepeats, ModalityRepeats, Repeats
from talkies.retrieval.recurrence.repeats_document import build_document
from talkies.runs import RunFolder
from talkies.training import Progress, RunConfig, pretrain
from talkies.training.recurrences import read_recurrences

Config = Callable[..., RunConfig]


@pytest.fixture
def film_ids(library: Library) -> list[str]:
    """The ids of the film_ids, in the order of their numbers."""
    return sorted(film.film_id for film in library.usable_films())


def document_of(library: Library, film_ids: list[str]) -> dict[str, Any]:
    """What `talkies repeats` would write: a sound that comes back, and a film that is in another."""
    first, second = FilmSpan(film_ids[0], 1.0, 4.0), FilmSpan(film_ids[0], 7.5, 10.5)
    family = PassageFamily((first, second), (RepeatedPassage(first, second, 0.9),))
    both = Duplicate(
        ("video", "audio"), FilmSpan(film_ids[1], 0.0, 6.0), FilmSpan(film_ids[2], 2.0, 7.5), 2.0, 0.5, 0.5, 0.9
    )
    named = {film: SimpleNamespace(name=f"{film}.mp4") for film in film_ids}
    entry = SimpleNamespace(stamp="0", name="run", clip_seconds=1.0, stride_seconds=0.5)
    repeats = Repeats(named, {"audio": ModalityRepeats(9, 0, 0.5, (family,))}, (both,))
    return build_document(LibraryRepeats(library, entry, repeats, ()))


@pytest.fixture
def document(library: Library, film_ids: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "repeats.json"
    path.write_text(json.dumps(document_of(library, film_ids)))
    return path


def opened(library: Library, config: RunConfig, film_ids: list[str] | None = None) -> TrainingClips:
    return open_training_clips(library.root, config.clip, config.sampling, 0, film_ids)


def test_passages_and_duplicates_are_read_as_frames_of_the_grid(
    library: Library, small: Config, document: Path
) -> None:
    config = small(f"objective.recurrences={document}")
    table = read_recurrences(config, opened(library, config))
    assert isinstance(table, Recurrences)
    assert table.film_P2.tolist() == [[0, 0], [1, 2]]
    assert table.start_P2.tolist() == [[16, 120], [0, 32]]
    assert table.frames_P.tolist() == [48, 88]  # the shorter of the two, at 16 frames a second
    assert table.window_frames == opened(library, config).source.shape.window_frames
    assert read_recurrences(small(), opened(library, config)) is None


def test_passages_of_films_that_the_run_does_not_learn_from_are_left_out(
    library: Library, small: Config, document: Path, film_ids: list[str]
) -> None:
    config = small(f"objective.recurrences={document}")
    table = read_recurrences(config, opened(library, config, film_ids[1:]))
    assert table is not None
    assert table.film_P2.tolist() == [[0, 1]]


PLACE = {"film_id": "FILM", "start_seconds": 1.0, "end_seconds": 2.0}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"repeats\.json cannot be read as a document of talkies repeats \(.*\); write it with: talkies repeats"),
        ("{", r"repeats\.json is not a document of talkies repeats, or is damaged; write it with: talkies repeats"),
        ("[]", r"is not a document of talkies repeats, or is damaged; write it with"),
        ('{"sides": []}', r"is not a document of talkies repeats, or is damaged; write it with"),
        (
            {"sides": [], "duplicates": [{"first": PLACE, "second": PLACE | {"end_seconds": 1.0}}]},
            r"objective\.recurrences: .*repeats\.json has a passage that does not end after it starts; write it with",
        ),
        (
            {"sides": [], "duplicates": [{"first": PLACE, "second": PLACE | {"start_seconds": -1.0}}]},
            r"is not a document of talkies repeats, or is damaged",
        ),
        (
            {"sides": [], "duplicates": [{"first": PLACE, "second": PLACE | {"film_id": "0123456789abcdef"}}]},
            r"objective\.recurrences: .*repeats\.json names the film '0123456789abcdef', which is not in .*; write it",
        ),
        ({"schema_version": 2, "sides": [], "duplicates": []}, r"is of schema version 2, this talkies reads up to 1"),
    ],
)
def test_a_file_that_is_no_document_of_these_films_is_refused_before_anything_is_written(
    content: Any, sentence: str, library: Library, small: Config, film_ids: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "repeats.json"
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text.replace("FILM", film_ids[0]))
    with pytest.raises(ConfigError, match=rf"{sentence}[^\n]*$"):
        pretrain(library.root, small(f"objective.recurrences={path}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_keeps_to_its_recurrences(
    library: Library, small: Config, document: Path, film_ids: list[str], tmp_path: Path
) -> None:
    notes: list[str] = []
    settings = (f"objective.recurrences={document}", "training.steps=2")
    pretrain(library.root, small(*settings), tmp_path / "run", progress=Progress(on_note=notes.append))
    assert notes == ["clips of 2 repeated passages of these films are not negatives of the same moments elsewhere"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["ignored"] >= 0 and line["positives"] == 1 for line in lines)
    assert re.fullmatch(r"[0-9a-f]{16}", RunFolder(tmp_path / "run").read_record().recurrences_digest)

    # It continues with the same file, and with no other.
    longer = small(*settings[:1], "training.steps=3")
    assert pretrain(library.root, longer, tmp_path / "run", resume=True).steps == 3
    document.write_text(json.dumps(document_of(library, film_ids) | {"duplicates": []}))
    with pytest.raises(RunError, match=r"repeats\.json has changed since this run began, .*; put the former file back"):
        pretrain(library.root, longer, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("sampling.positives_within_seconds=3", "objective.time_weighting=farther"),
            r"a clip's sound is of another moment, so objective\.time_weighting and objective\.recurrences cannot tell",
        ),
        (
            ("sampling.positives_within_seconds=3", "objective.recurrences=repeats.json"),
            r"a clip's sound is of another moment, so objective\.time_weighting and objective\.recurrences cannot tell",
        ),
        (
            ("sampling.clips_per_film=1", "sampling.films_per_batch=3", "objective.time_weighting=nearer"),
            r"objective\.time_weighting weighs negatives within films, and with sampling\.clips_per_film = 1 there are",
        ),
        (
            (
                *("sampling.clips_per_film=1", "sampling.films_per_batch=3", "objective.loss=sigmoid"),
                *("objective.cross_film_weight=1", "objective.within_film_weight=2"),
            ),
            r"objective\.within_film_weight weighs negatives within films, and with sampling\.clips_per_film = 1",
        ),
    ],
)
def test_what_cannot_be_told_from_these_clips_is_refused(
    overrides: tuple[str, ...], sentence: str, small: Config
) -> None:
    with pytest.raises(ConfigError, match=rf"{sentence}[^\n]*$"):
        small(*overrides)
