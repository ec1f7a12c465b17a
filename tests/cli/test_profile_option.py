"""`talkies ingest --profile`, and where the profile of a library can be seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.library import PROFILES, Library, Profile

STANDARD = "standard (256 px, 16 fps, 48 kHz)"


@pytest.fixture(scope="module")
def film(workspace: Path) -> Path:
    return workspace / "films" / "film-000.mp4"


def test_the_profile_that_is_named_is_kept_and_shown(talkies: Callable[..., Any], film: Path, tmp_path: Path) -> None:
    root = tmp_path / "lib"
    begun = talkies("ingest", film, "--library", root, "--profile", "standard")
    assert (begun.status, Library.open(root).profile) == (0, PROFILES["standard"])
    assert f"\nprofile: {STANDARD}\n" in begun.out

    again = talkies("ingest", film, "--library", root)
    assert (again.status, "1 of them already in the library" in again.out) == (0, True)
    assert f"\nprofile: {STANDARD}\n" in again.out
    assert talkies("ingest", film, "--library", root, "--profile", "standard").status == 0
    assert talkies("ingest", film, "--library", root, "--set", "profile.short_side=256").status == 0

    other = talkies("ingest", film, "--library", root, "--profile", "full")
    assert (other.status, other.out) == (2, "")
    assert other.err.rstrip().splitlines()[-1] == (
        f"talkies: {root} keeps the profile that it was begun with, {STANDARD}, and not full (384 px, 32 fps, 48 kHz); "
        "for that make another library: talkies ingest SOURCES --library NEW --profile full"
    )
    assert Library.open(root).profile == PROFILES["standard"]

    listed = talkies("films", "--library", root)
    assert listed.out.startswith(f"Films of {root}, profile {STANDARD}\n")
    document = json.loads(talkies("films", "--library", root, "--json").out)
    assert document["profile"] == {"name": "standard", **PROFILES["standard"].model_dump()}
    page = (root / "ingest.html").read_text(encoding="utf-8")
    assert "profile <b>standard</b>" in page
    assert "256 pixels" in page
    assert "48000 Hz" in page


def test_single_values_make_a_profile_without_a_name(talkies: Callable[..., Any], film: Path, tmp_path: Path) -> None:
    sets = ("--set", "profile.short_side=96", "--set", "profile.fps=12", "--set", "profile.audio_rate_hz=24000")
    outcome = talkies("ingest", film, "--library", tmp_path / "lib", *sets, "--json")
    assert outcome.status == 0
    wanted = Profile(short_side=96, fps=12, gop=12, audio_rate_hz=24_000)
    assert Library.open(tmp_path / "lib").profile == wanted
    assert json.loads(outcome.out)["profile"] == {"name": None, **wanted.model_dump()}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--profile", "standrd"), "no profile 'standrd' (did you mean 'standard'?); there are: small, standard, "),
        (("--set", "profile.name=Full"), "no profile 'Full' (did you mean 'full'?); there are: "),
        (("--set", "profile.shortside=256"), "unknown key 'profile.shortside' in --set (did you mean "),
        (("--set", "profile.short_side=250"), "'profile.short_side' got 250: input should be a multiple of 4"),
        (("--set", "profile.short_side=4000"), "'profile.short_side' got 4000: input should be less than or equal to"),
        (("--set", "profile.fps=24"), "the audio rate must be a multiple of the frame rate"),
        (("--set", "profile.audio_rate_hz=20000"), "no rate of 20000 Hz; take one of 8000, "),
        (("--set", "profile=standard"), "unknown key 'profile' in --set"),
    ],
)
def test_what_is_no_profile_is_refused_in_one_sentence_and_nothing_is_begun(
    talkies: Callable[..., Any], film: Path, tmp_path: Path, options: tuple[str, str], sentence: str
) -> None:
    outcome = talkies("ingest", film, "--library", tmp_path / "lib", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "lib").exists()
