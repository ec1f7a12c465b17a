"""Profiles: those that have a name, which one a model needs, and how another one is asked for."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import ConfigError, Grid, LibraryError
from talkies.core.inputs import Needs
from talkies.ingestion import build_config
from talkies.library import (
    PROFILES,
    Library,
    Profile,
    ProfileChoice,
    choose_profile,
    describe_shortfall,
    find_profile,
)
from talkies.library.profile import AUDIO_RATES_HZ

SETTINGS = settings(derandomize=True, deadline=None, database=None, max_examples=60)
FITTING = [(fps, hz) for fps in range(1, 121) for hz in AUDIO_RATES_HZ if hz % fps == 0]
profiles = st.builds(
    lambda rates, side, gop: Profile(fps=rates[0], audio_rate_hz=rates[1], short_side=4 * side, gop=gop),
    st.sampled_from(FITTING),
    st.integers(4, 540),
    st.integers(1, 600),
)
needs_of_models = st.builds(
    Needs,
    st.none() | st.integers(16, 900),
    st.none() | st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 24, 25, 30, 32, 50, 60]),
    st.none() | st.sampled_from([8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]),
)


def test_the_default_is_small_and_as_it_always_was() -> None:
    assert PROFILES["small"] == Profile() == Profile(fps=16, short_side=128, gop=16, audio_rate_hz=16_000)
    assert Profile().name == "small"


def test_the_named_profiles_have_these_values() -> None:
    assert {name: tuple(profile.model_dump().values()) for name, profile in PROFILES.items()} == {
        "small": (16, 128, 16, 16_000),
        "standard": (16, 256, 16, 48_000),
        "large": (16, 384, 16, 48_000),
        "full": (32, 384, 32, 48_000),
    }


def test_each_gives_at_least_what_the_one_before_it_gives() -> None:
    for smaller, larger in pairwise(PROFILES.values()):
        assert larger.meets(Needs(smaller.short_side, smaller.fps, smaller.audio_rate_hz))
        assert not smaller.meets(Needs(larger.short_side, larger.fps, larger.audio_rate_hz))


def test_all_have_a_key_frame_a_second_and_every_clip_rate_of_the_recipes() -> None:
    for profile in PROFILES.values():
        assert profile.gop == profile.fps
        assert all(profile.fps % rate == 0 for rate in (1, 2, 4, 8, 16))


def test_a_profile_in_words() -> None:
    assert PROFILES["standard"].describe() == "standard (256 px, 16 fps, 48 kHz)"
    assert Profile(short_side=64, fps=10, gop=10, audio_rate_hz=22_050).describe() == "64 px, 10 fps, 22.05 kHz"
    assert Profile(gop=8).describe() == "128 px, 16 fps, 16 kHz, a key frame every 8 frames"


@SETTINGS
@given(profiles)
def test_the_options_of_a_profile_ask_for_it(profile: Profile) -> None:
    words = shlex.split(profile.options)
    name = words[words.index("--profile") + 1]
    sets = [word for before, word in pairwise(words) if before == "--set"]
    assert len(words) == 2 + 2 * len(sets)
    assert build_config(sets, profile=name).profile.resolve(None) == profile


def test_named_profiles_are_asked_for_by_name_alone() -> None:
    assert [profile.options for profile in PROFILES.values()] == [f"--profile {name}" for name in PROFILES]
    assert Profile(fps=16, short_side=256, gop=8, audio_rate_hz=48_000).options == (
        "--profile standard --set profile.gop=8"
    )


@pytest.mark.parametrize(
    ("needs", "name"),
    [
        (Needs(), "small"),
        (Needs(128, 16, 16_000), "small"),
        (Needs(112, 8), "small"),
        (Needs(None, None, 16_000), "small"),
        (Needs(224, 8, 16_000), "standard"),
        (Needs(None, None, 48_000), "standard"),
        (Needs(None, None, 44_100), "standard"),
        (Needs(129), "standard"),
        (Needs(256, 4), "standard"),
        (Needs(336), "large"),
        (Needs(384, 4, 48_000), "large"),
        (Needs(128, 32, 16_000), "full"),
    ],
)
def test_the_smallest_named_profile_that_suffices_is_chosen(needs: Needs, name: str) -> None:
    assert choose_profile(needs).name == name


@SETTINGS
@given(needs_of_models)
def test_what_is_chosen_meets_the_needs_and_no_smaller_named_profile_does(needs: Needs) -> None:
    try:
        chosen = choose_profile(needs)
    except ConfigError:  # only where no rate of sound suits: none of AAC's is a multiple of this rate of pictures
        suiting = [hz for fps, hz in FITTING if fps % (needs.fps or 1) == 0 and hz >= (needs.audio_rate_hz or 0)]
        assert not suiting
        return
    assert chosen.meets(needs)
    meeting = [name for name, profile in PROFILES.items() if profile.meets(needs)]
    assert chosen.name == (meeting[0] if meeting else None)


def test_of_rates_that_no_named_profile_has_one_is_made() -> None:
    assert choose_profile(Needs(224, 25, 48_000)) == Profile(fps=25, gop=25, short_side=256, audio_rate_hz=48_000)
    assert choose_profile(Needs(518)) == Profile(fps=16, gop=16, short_side=520, audio_rate_hz=48_000)
    assert choose_profile(Needs(64, 12)) == Profile(fps=24, gop=24, short_side=128, audio_rate_hz=24_000)


@pytest.mark.parametrize("needs", [Needs(2161), Needs(224, 121), Needs(None, None, 96_001)])
def test_what_no_library_can_give_is_said(needs: Needs) -> None:
    with pytest.raises(ConfigError, match=f"^no library can give {re.escape(needs.describe())}: a profile has at most"):
        choose_profile(needs)


def test_a_library_that_gives_less_is_told_which_command_makes_one_that_does() -> None:
    assert describe_shortfall("hf:clip", Needs(224, 4, 48_000), "films-lib", Profile()) == (
        "hf:clip needs pictures of 224 px at 4 a second and sound of 48 kHz, and films-lib has small (128 px, 16 fps, "
        "16 kHz); make a library that has it: talkies ingest SOURCES --library NEW --profile standard"
    )
    custom = describe_shortfall("m", Needs(None, 25), "lib", PROFILES["full"])
    assert custom.startswith("m needs pictures at 25 a second, and lib has full (384 px, 32 fps, 48 kHz); ")
    assert custom.endswith("--profile small --set profile.fps=25 --set profile.gop=25")


@pytest.mark.parametrize("fields", [{"short_side": 0}, {"fps": -1}, {"fps": 7.5}, {"audio_rate_hz": "16000"}])
def test_needs_that_are_no_positive_whole_numbers_are_refused(fields: dict[str, object]) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=rf"^{name} must be a positive whole number, got "):
        Needs(**fields)  # type: ignore[arg-type]


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    sentence = (
        r"^no profile 'standrad' \(did you mean 'standard'\?\); there are: small, standard, large, full \(change "
        r"single values with --set profile\.short_side=…\)$"
    )
    with pytest.raises(ConfigError, match=sentence):
        find_profile("standrad")
    with pytest.raises(ConfigError, match=r"^no profile ''; there are: small,"):
        find_profile("")


@pytest.mark.parametrize("rate_hz", [20_000, 48_016, 44_000, 17_000])
def test_a_rate_that_the_sound_of_proxies_cannot_have_is_refused(rate_hz: int) -> None:
    with pytest.raises(ValueError, match=rf"no rate of {rate_hz} Hz; take one of 8000, .*, 48000, "):
        Profile(fps=1, gop=1, audio_rate_hz=rate_hz)


def test_rates_that_do_not_go_together_are_answered_with_those_that_do() -> None:
    sentence = r"got 16000 Hz and 24 fps; take an audio_rate_hz of 12000, 24000, 48000, 88200, 96000"
    with pytest.raises(ValueError, match=sentence):
        Profile(fps=24)
    with pytest.raises(ValueError, match=r"got 16000 Hz and 11 fps; take an fps of 16, 24, 25, 30 or 32"):
        Profile(fps=11)


def test_single_values_change_the_profile_that_is_named_or_there_or_small() -> None:
    change = ProfileChoice(short_side=96)
    assert change.resolve(None) == Profile(short_side=96)
    assert change.resolve(PROFILES["full"]) == PROFILES["full"].model_copy(update={"short_side": 96})
    named = ProfileChoice(name="standard", short_side=96)
    assert named.resolve(PROFILES["full"]) == Profile(short_side=96, audio_rate_hz=48_000)
    assert ProfileChoice().resolve(PROFILES["large"]) == PROFILES["large"]


def test_a_frame_rate_brings_its_key_frames_along_unless_they_are_named() -> None:
    assert ProfileChoice(name="standard", fps=24).resolve(None).gop == 24
    assert ProfileChoice(name="standard", fps=24, gop=6).resolve(None).gop == 6
    assert ProfileChoice(fps=16).resolve(Profile(gop=4)).gop == 4  # nothing changes


def test_a_library_keeps_its_profile_whatever_does_not_ask_for_another(tmp_path: Path) -> None:
    begun = Library.create(tmp_path / "lib", ProfileChoice(name="standard", fps=24)).profile
    assert begun == Profile(fps=24, gop=24, short_side=256, audio_rate_hz=48_000)
    for same in (None, ProfileChoice(), begun, ProfileChoice(fps=24), ProfileChoice(name="standard", fps=24)):
        assert Library.create(tmp_path / "lib", same).profile == begun
    assert Library.open(tmp_path / "lib").profile == begun


@pytest.mark.parametrize(
    ("asked", "words", "options"),
    [
        (ProfileChoice(name="large"), r"large \(384 px, 16 fps, 48 kHz\)", "--profile large"),
        (ProfileChoice(name="small"), r"small \(128 px, 16 fps, 16 kHz\)", "--profile small"),
        (Profile(), r"small \(128 px, 16 fps, 16 kHz\)", "--profile small"),
        (
            ProfileChoice(fps=24),
            "256 px, 24 fps, 48 kHz",
            "--profile standard --set profile.fps=24 --set profile.gop=24",
        ),
    ],
)
def test_another_one_is_refused_with_what_there_is_and_the_command(
    tmp_path: Path, asked: Profile | ProfileChoice, words: str, options: str
) -> None:
    root = Library.create(tmp_path / "lib", PROFILES["standard"]).root
    before = (root / "library.json").read_bytes()
    sentence = (
        rf"^{root} keeps the profile that it was begun with, standard \(256 px, 16 fps, 48 kHz\), and not {words}; for "
        rf"that make another library: talkies ingest SOURCES --library NEW {options}$"
    )
    with pytest.raises(LibraryError, match=sentence):
        Library.create(root, asked)
    assert (root / "library.json").read_bytes() == before


def test_values_that_do_not_go_together_begin_no_library(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^profile: the audio rate must be a multiple .* 16000 Hz and 24 fps"):
        Library.create(tmp_path / "lib", ProfileChoice(fps=24))
    assert not (tmp_path / "lib").exists()


def test_a_profile_says_its_grid() -> None:
    assert PROFILES["full"].grid == Grid(32, 48_000)
