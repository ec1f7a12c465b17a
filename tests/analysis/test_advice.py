"""The rules of the advice, and that its command is valid."""

import shlex
from itertools import pairwise

import numpy as np
import pytest

from talkies.analysis.advice import advise
from talkies.analysis.measure import measure_recurrence
from talkies.analysis.values import CueProbe, Diversity, FilmAnalysis, ModalityAnalysis, ProbeAccuracy
from talkies.training import resolve


def film_of(kinds: int, clips: int = 120, run: int = 1) -> FilmAnalysis:
    """A film whose kinds come in turn, in runs of so many clips of two seconds."""
    label_N = np.arange(clips) // run % kinds
    start_N = 2.0 * np.arange(clips)
    diversity = Diversity(
        clips=clips, clusters=kinds, effective_clusters=kinds, vendi=kinds, silhouette=0.5, silhouette_by_chance=0.1
    )
    recurrence = measure_recurrence(label_N, start_N, 2.0, 2.0 * clips)
    part = ModalityAnalysis(
        diversity=diversity, recurrence=recurrence, spread=1, labels=tuple(label_N.tolist()), plot=()
    )
    return FilmAnalysis(
        film_id="0" * 16, name="film.mp4", page="films/film.html", seconds=2.0 * clips, clips=clips,
        across_cuts=False, start_seconds=tuple(start_N.tolist()), picture=part, sound=part,
    )  # fmt: skip


def probe_of(mean: float, low: float, chance: float = 0.25) -> CueProbe:
    accuracy = ProbeAccuracy(mean=mean, low=low, high=1.0)
    names = ("palette", "brightness", "loudness", "spectrum", "together")
    return CueProbe(**dict.fromkeys(names, accuracy), chance=chance)


@pytest.mark.parametrize(("kinds", "clips"), [(2, 2), (4, 4), (8, 8), (30, 32), (200, 32)])
def test_a_clip_meets_at_most_one_other_of_its_kind(kinds: int, clips: int) -> None:
    found = advise([film_of(kinds)] * 3, None, (), "lib", 2.0)
    assert found.clips_per_film == clips


def test_where_kinds_cannot_be_distinguished_there_are_sixteen_clips_or_as_many_as_the_shortest_film_allows() -> None:
    assert advise([film_of(1)], None, (), "lib", 2.0).clips_per_film == 16
    short = advise([film_of(1), film_of(1, clips=9)], None, (), "lib", 2.0)
    assert (short.clips_per_film, short.widest_window_seconds) == (4, None)


def test_a_window_is_wide_enough_for_kinds_that_stay() -> None:
    quick, slow = (advise([film_of(4, run=run)] * 2, None, (), "lib", 2.0) for run in (1, 20))
    assert quick.widest_window_seconds == 60  # room for 4 clips; nothing is lost
    assert slow.widest_window_seconds == 120  # within a minute it would be one kind too often


@pytest.mark.parametrize(
    ("cue_probe", "weight"),
    [(probe_of(1.0, 0.9), 0.0), (probe_of(0.25, 0.1), 1.0), (probe_of(0.625, 0.4), 0.5), (probe_of(0.6, 0.2), 1.0)],
)
def test_other_films_weigh_what_shortcut_cues_leave(cue_probe: CueProbe, weight: float) -> None:
    assert advise([film_of(4)] * 2, cue_probe, (), "lib", 2.0).cross_film_weight == weight


@pytest.mark.parametrize("left_out", [(), ("short.mp4",)])
def test_the_command_parses_to_what_is_advised(left_out: tuple[str, ...]) -> None:
    found = advise([film_of(8)] * 3, probe_of(0.625, 0.5), left_out, "my films", 2.0)
    words = shlex.split(found.command)
    assert words[:4] == ["talkies", "pretrain", "--library", "my films"]
    config = resolve(words[words.index("--recipe") + 1], [b for a, b in pairwise(words) if a == "--set"])
    assert config.sampling.films_per_batch == found.films_per_batch == 3
    assert config.sampling.clips_per_film == found.clips_per_film == 8
    assert config.sampling.widest_window_seconds == found.widest_window_seconds == 120
    assert config.objective.cross_film_weight == found.cross_film_weight == 0.5
    assert config.sampling.short_films == ("leave_out" if left_out else "refuse")
    assert len(found.reasons) == 3
