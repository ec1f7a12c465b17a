"""The whole road with public encoders: ingest, heads, search by picture, sound and words, the audit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import save_clip
from small_sound_checkpoints import save_clap, save_pe_av

from talkies.synth import SynthConfig, render_films

pytestmark = pytest.mark.slow

SMALL = (
    *("training.steps=4", "training.checkpoint_every=4", "training.recalibration_batches=0", "loader.workers=0"),
    *("sampling.clips_per_film=4", "adaptation.views=1", "model.hidden_dim=16"),
)


def test_public_encoders_are_adapted_searched_by_words_and_audited(
    library: Any, tmp_path: Path, document_of: Callable[..., Any], sentence_of: Callable[..., str]
) -> None:
    save_clap(tmp_path / "clap")
    clip, clap = f"hf:{save_clip(tmp_path / 'clip')}", f"hf:{tmp_path / 'clap'}"
    films, rich, run = tmp_path / "films", tmp_path / "rich", tmp_path / "run"
    render_films(films, 2, SynthConfig(seconds=18.0), seed=3)

    # A library of today's profile has too little for CLAP, and the sentence has the command that makes another.
    told = sentence_of("embed", "--library", library.location, "--model", clap)
    assert "sound of 48 kHz" in told
    assert "talkies ingest SOURCES --library NEW --profile standard" in told
    document_of("ingest", films, "--library", rich, "--profile", "standard")
    assert document_of("films", "--library", rich)["profile"]["audio_rate_hz"] == 48_000

    # Locked tuning: pictures keep CLIP's space, and a head brings sounds into it.
    width = document_of("embed", "--library", rich, "--model", clip, "--stride", 4)["dims"]["video"]
    named = (
        *(f"model.video={clip}", f"model.audio={clap}", f"model.embedding_dim={width}"),
        "adaptation.video.train=none",
    )
    sets = [part for setting in (*SMALL, *named) for part in ("--set", setting)]
    assert document_of("pretrain", "--library", rich, "--recipe", "adapt-heads", "--run", run, *sets)["steps"] == 4
    embedded = document_of("embed", "--library", rich, "--run", run, "--stride", 2)
    assert embedded["films"] == 2

    # Words meet pictures in the locked space and, through the head, sounds; a moment and a file ask as ever.
    ask = ("search", "--library", rich, "--run", run, "--weak", "-k", 3)
    for query in (
        ("--text", "a dragon flies", "--to", "video"),
        ("--text", "a dragon flies", "--to", "audio"),
        ("--film", "film-000.mp4", "--at", 9, "--from", "video", "--to", "audio"),
        ("--film", "film-000.mp4", "--at", 9, "--from", "audio", "--to", "video"),
        ("--file", films / "film-001.mp4", "--from", "video", "--to", "video"),
    ):
        found = document_of(*ask, *query)
        assert len(found["hits"]) == 3, query
        assert found["query"]["model"] == embedded["model"]
    assert document_of("audit", "--library", rich, "--run", run, "--to", tmp_path / "audit.html")["verdict"]

    # The public encoder alone has pictures only: sounds are refused in one sentence.
    told = sentence_of("search", "--library", rich, "--model", clip, "--text", "a dragon flies", "--to", "audio")
    assert "CLAP" in told or "--to video" in told


def test_a_joint_model_is_searched_by_words_without_a_run(
    films: Path, tmp_path: Path, document_of: Callable[..., Any]
) -> None:
    save_pe_av(tmp_path / "pe-av")
    model, library = f"hf:{tmp_path / 'pe-av'}", tmp_path / "lib"
    document_of("ingest", films / "film-000.mp4", "--library", library, "--profile", "standard")
    embedded = document_of("embed", "--library", library, "--model", model, "--stride", 2)
    assert embedded["joint"]
    for to in ("video", "audio", "both"):
        found = document_of("search", "--library", library, "--text", "a butterfly", "--to", to, "--weak")
        assert found["hits"], to
