"""Code that a run names is run only with `--trust-code`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.library import Library

SMALL = (
    *("model.audio=python:small_modules:Loudness", "adaptation.audio.train=head", "training.steps=1"),
    *("training.recalibration_batches=0", "sampling.films_per_batch=2", "sampling.clips_per_film=2"),
    *("loader.workers=0", "transforms.audio.time_masks=0", "transforms.audio.time_mask_frames=0"),
    *("transforms.audio.frequency_masks=0", "transforms.audio.frequency_mask_bins=0"),
)


@pytest.mark.slow
def test_a_run_with_somebodys_module_needs_trust(
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document_of: Callable[..., Any],
    sentence_of: Callable[..., str],
) -> None:
    monkeypatch.setenv("TALKIES_TRUST_CODE", "0")  # what the option changes is undone after the test
    run = tmp_path / "run"
    sets = [part for setting in SMALL for part in ("--set", setting)]
    document_of("pretrain", "--library", library.location, "--recipe", "tiny", "--run", run, *sets)

    for verb in ("embed", "audit"):
        told = sentence_of(verb, "--library", library.location, "--run", run)
        assert "names python:small_modules:Loudness, and loading it runs that code" in told
        assert "add --trust-code" in told
    report = tmp_path / "report.html"
    document_of("audit", "--library", library.location, "--run", run, "--trust-code", "--to", report)
    assert report.is_file()
