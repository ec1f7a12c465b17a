"""The whole road with public encoders: ingest, heads, search by picture, sound and words, the audit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import save_clip
from small_sound_checkpoints import save_clap, save_pe_av

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

FILMS = ("big_buck_bunny_30s_5.1.mp4", "sintel_trailer.mp4")
SMALL = (
    *("training.steps=4", "training.checkpoint_every=4", "training.recalibration_batches=0", "loader.workers=0"),
    *("sampling.clips_per_film=4", "adaptation.views=1", "model.hidden_dim=16"),
)


def test_public_encoders_are_adapted_searched_by_words_and_audited(
    real_data: Path, tmp_path: Path, document_of: Callable[..., Any], sentence_of: Callable[..., str]
) -> None:
    clip, clap = f"hf:{save_clip(tmp_path / 'clip')}", f"hf:{tmp_path / 'clap'}"
    save_clap(tmp_path / "clap")
    library, run, sources = tmp_path / "lib", tmp_path / "run", [real_data / "films" / name for name in FILMS]

    # A library of today's profile has too little for CLAP, and the sentence has the command that makes another.
    poor = tmp_path / "poor"
    document_of("ingest", sources[0], "--library", poor)
    told = sentence_of("embed", "--library", poor, "--model", clap)
    assert "sound of 48 kHz" in told
    assert "talkies ingest SOURCES --library NEW --profile standard" in told

    document_of("ingest", *sources, "--library", library, "--profile", "standard", "--workers", 2)
    assert document_of("films", "--library", library)["profile"]["audio_rate_hz"] == 48_000

    # Locked tuning: pictures keep CLIP's space, and a head brings sounds into it.
    width = document_of("embed", "--library", library, "--model", clip, "--stride", 4)["dims"]["video"]
    named = (
        f"model.video={clip}",
        f"model.audio={clap}",
        f"model.embedding_dim={width}",
        "adaptation.video.train=none",
    )
    sets = [part for setting in (*SMALL, *named) for part in ("--set", setting)]
    trained = document_of("pretrain", "--library", library, "--recipe", "adapt-heads", "--run", run, *sets)
    assert trained["steps"] == 4
    embedded = document_of("embed", "--library", library, "--run", run, "--stride", 2)
    assert embedded["films"] == 2

    # Words meet pictures in the locked space and, through the head, sounds; a picture and a sound ask as ever.
    ask = ("search", "--library", library, "--run", run, "--weak", "-k", 3)
    for query in (
        ("--text", "a dragon flies", "--to", "video"),
        ("--text", "a dragon flies", "--to", "audio"),
        ("--film", "sintel_trailer.mp4", "--at", 20, "--from", "video", "--to", "audio"),
        ("--film", "sintel_trailer.mp4", "--at", 20, "--from", "audio", "--to", "video"),
        ("--file", sources[0], "--from", "video", "--to", "video"),
    ):
        found = document_of(*ask, *query)
        assert len(found["hits"]) == 3, query
        assert found["query"]["model"] == embedded["model"]
    audit = document_of("audit", "--library", library, "--run", run)
    assert audit["verdict"]

    # The public encoder alone has pictures only: sounds are refused in one sentence.
    told = sentence_of("search", "--library", library, "--model", clip, "--text", "a dragon flies", "--to", "audio")
    assert "CLAP" in told or "--to video" in told


def test_a_joint_model_is_searched_by_words_without_a_run(
    real_data: Path, tmp_path: Path, document_of: Callable[..., Any]
) -> None:
    save_pe_av(tmp_path / "pe-av")
    model, library = f"hf:{tmp_path / 'pe-av'}", tmp_path / "lib"
    document_of("ingest", real_data / "films" / FILMS[0], "--library", library, "--profile", "standard")
    embedded = document_of("embed", "--library", library, "--model", model, "--stride", 4)
    assert embedded["joint"]
    for to in ("video", "audio", "both"):
        found = document_of("search", "--library", library, "--text", "a butterfly", "--to", to, "--weak")
        assert found["hits"], to
