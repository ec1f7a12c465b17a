"""The settings to try: what fits the films, and that the command is valid."""

import shlex
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from talkies.analysis import advice
from talkies.analysis.evidence import Evidence, EvidenceRow, StudiedSampling
from talkies.analysis.measure import measure_recurrence
from talkies.analysis.settings import TINY, advise
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


@pytest.mark.parametrize(("kinds", "clips"), [(2, 2), (4, 4), (8, 8), (30, 16), (200, 16)])
def test_without_evidence_a_batch_has_the_recipes_clips_of_a_film_or_as_many_as_fit(kinds: int, clips: int) -> None:
    found = advise([film_of(kinds)] * 3, None, (), "lib", 2.0)
    assert (found.clips_per_film, found.cross_film_weight) == (clips, TINY.cross_film_weight)
    assert found.sampling is not None
    assert found.sampling.standing == "outside"
    assert "3 films and about 36 passes over them are outside what the studies measured" in found.reasons[0]
    chosen = f"So a batch has {clips} of a film, " + (
        "as the recipe tiny has." if clips == 16 else "where the recipe tiny has 16: what"
    )
    assert any(chosen in reason for reason in found.reasons)


def test_where_kinds_cannot_be_distinguished_half_of_the_shortest_films_clips_fit() -> None:
    assert advise([film_of(1)], None, (), "lib", 2.0).clips_per_film == 16
    short = advise([film_of(1), film_of(1, clips=9)], None, (), "lib", 2.0)
    assert (short.clips_per_film, short.widest_window_seconds) == (4, None)


def test_a_window_is_wide_enough_for_kinds_that_stay() -> None:
    quick, slow = (advise([film_of(4, run=run)] * 2, None, (), "lib", 2.0) for run in (1, 20))
    assert quick.widest_window_seconds == 60  # room for 4 clips; nothing is lost
    assert slow.widest_window_seconds == 120  # within a minute it would be one kind too often


def test_the_evidence_decides_on_clips_and_weight_where_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    eight, lower = (StudiedSampling(clips_per_film=8, cross_film_weight=weight) for weight in (1.0, 0.1))
    both = [(eight, StudiedSampling(clips_per_film=1)), (lower, eight)]
    rows = tuple(
        EvidenceRow(
            source="study s", kind="rendered", films=40, passes=12.0, sampling=sampling, against=against,
            measure="concept_audio", mean=0.2, low=0.1, high=0.3, verdict="better",
        )
        for sampling, against in both
    )  # fmt: skip
    monkeypatch.setattr(advice, "read_evidence", lambda: Evidence(rows=rows))
    plan = replace(TINY, films_per_batch=32, clips_per_film=1, cross_film_weight=1.0, steps=3600)  # 12 × 40 × 240 s
    many = advise([film_of(30)] * 40, probe_of(0.9, 0.8), (), "lib", 2.0, plan=plan)
    assert (many.films_per_batch, many.clips_per_film, many.cross_film_weight) == (4, 8, 0.1)
    capped = advise([film_of(2)] * 40, None, (), "lib", 2.0, plan=plan)
    assert capped.clips_per_film == 2
    assert "of a film, where the evidence speaks for 8: what 2 change was not measured." in " ".join(capped.reasons)
    unknown = advise([film_of(30)] * 40, None, (), "lib", 2.0, plan=replace(plan, clip_seconds=None))
    assert (unknown.films_per_batch, unknown.clips_per_film, unknown.cross_film_weight) == (32, 1, 1.0)
    assert "How often the 40 films are passed over is not known" in unknown.reasons[0]


@pytest.mark.parametrize(
    ("cue_probe", "words"),
    [
        (
            probe_of(1.0, 0.9),
            "identify the film of 100 % of the clips [90–100]; a guess is right for 25 %. So clips of",
        ),
        (probe_of(0.6, 0.2), "That may be chance, while the cues of the studies’ films were strong."),
        (None, "There is only one film"),
    ],
)
def test_the_reasons_say_what_shortcut_cues_identify(cue_probe: CueProbe | None, words: str) -> None:
    assert words in advise([film_of(4)] * 2, cue_probe, (), "lib", 2.0).reasons[-1]


@pytest.mark.parametrize("left_out", [(), ("short.mp4",)])
def test_the_command_parses_to_what_is_advised(left_out: tuple[str, ...]) -> None:
    found = advise([film_of(8)] * 3, probe_of(0.625, 0.5), left_out, "my films", 2.0)
    words = shlex.split(found.command)
    assert words[:4] == ["talkies", "pretrain", "--library", "my films"]
    config = resolve(words[words.index("--recipe") + 1], [b for a, b in pairwise(words) if a == "--set"])
    assert config.sampling.films_per_batch == found.films_per_batch == 3
    assert config.sampling.clips_per_film == found.clips_per_film == 8
    assert config.sampling.widest_window_seconds == found.widest_window_seconds == 120
    assert config.objective.cross_film_weight == found.cross_film_weight == 0
    assert config.sampling.short_films == ("leave_out" if left_out else "refuse")


def test_the_command_keeps_what_was_set() -> None:
    plan = replace(TINY, overrides=("training.steps=7",))
    words = shlex.split(advise([film_of(8)] * 3, None, (), "lib", 2.0, plan=plan).command)
    assert words[words.index("--set") + 1] == "training.steps=7"
