"""The proxy profile: the frame rate, size and sample rate of all films of a library.

A library keeps the profile that it was begun with. Four profiles have names, each giving at least what the one before
it gives:

    small     128 px, 16 fps, 16 kHz   the encoders of talkies: recipes use pictures of 64 or 112 px
    standard  256 px, 16 fps, 48 kHz   most public encoders: 224 or 256 px, clips of up to 16 pictures a second; CLAP
    large     384 px, 16 fps, 48 kHz   those that take 336 or 384 px: CLIP at 336, SigLIP and V-JEPA 2 at 384, PE-AV
    full      384 px, 32 fps, 48 kHz   clips of more than 16 pictures a second: fast motion, lip movement

The rates are powers of two because a clip's rate must divide its library's: 32 gives clips of 1, 2, 4, 8, 16 and 32
pictures a second, and so every recipe; 30 would give neither 4 (V-JEPA 2), 8 nor 16. At 48 kHz the sound of any lower
rate is there too, and 48,000 is a multiple of both frame rates. A key frame comes every second.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from talkies.config import Config, check
from talkies.core import ConfigError, Grid, suggest_nearest
from talkies.core.inputs import Needs

AUDIO_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
"""The sample rates that proxies can have: those of AAC."""

_SIDE_STEP = 4
Fps = Annotated[int, Field(ge=1, le=120)]
ShortSide = Annotated[int, Field(ge=16, le=2160, multiple_of=_SIDE_STEP)]
Gop = Annotated[int, Field(ge=1, le=600)]
AudioRate = Annotated[int, Field(ge=8_000, le=96_000)]


class Profile(Config):
    """The format of proxies and training audio.

    Proxies have `fps` frames per second, a shorter side of `short_side` pixels and a key frame every `gop` frames;
    training audio is mono at `audio_rate_hz`.
    """

    fps: Fps = 16
    short_side: ShortSide = 128
    gop: Gop = 16
    audio_rate_hz: AudioRate = 16_000

    @field_validator("audio_rate_hz")
    @classmethod
    def _check_audio_rate(cls, rate_hz: int) -> int:
        if rate_hz not in AUDIO_RATES_HZ:
            rates = ", ".join(map(str, AUDIO_RATES_HZ))
            raise ValueError(f"the sound of proxies (AAC) has no rate of {rate_hz} Hz; take one of {rates}")
        return rate_hz

    @model_validator(mode="after")
    def _check_frames_start_on_samples(self) -> Self:
        if self.audio_rate_hz % self.fps:
            fitting = [str(rate_hz) for rate_hz in AUDIO_RATES_HZ if rate_hz % self.fps == 0]
            advice = f"an audio_rate_hz of {', '.join(fitting)}" if fitting else "an fps of 16, 24, 25, 30 or 32"
            raise ValueError(
                f"the audio rate must be a multiple of the frame rate so that each frame starts on a sample, "
                f"got {self.audio_rate_hz} Hz and {self.fps} fps; take {advice}"
            )
        return self

    @property
    def grid(self) -> Grid:
        """The frame and sample rates."""
        return Grid(self.fps, self.audio_rate_hz)

    @property
    def name(self) -> str | None:
        """The name of the profile, or None if none of `PROFILES` is like it."""
        return next((name for name, profile in PROFILES.items() if profile == self), None)

    @property
    def options(self) -> str:
        """The options of `talkies ingest` that begin a library with this profile: `--profile standard`."""
        own = self.model_dump()

        def count_equal(profile: "Profile") -> int:
            return sum(own[key] == value for key, value in profile.model_dump().items())

        nearest = max(PROFILES, key=lambda name: count_equal(PROFILES[name]))  # the first of several
        base = PROFILES[nearest].model_dump()
        changes = [f"--set profile.{key}={value}" for key, value in own.items() if value != base[key]]
        return " ".join([f"--profile {nearest}", *changes])

    def describe(self) -> str:
        """Return the profile in words: `standard (256 px, 16 fps, 48 kHz)`; without the name if it has none."""
        facts = f"{self.short_side} px, {self.fps} fps, {self.audio_rate_hz / 1000:g} kHz"
        if self.name:
            return f"{self.name} ({facts})"
        return facts if self.gop == self.fps else f"{facts}, a key frame every {self.gop} frames"

    def meets(self, needs: Needs) -> bool:
        """Return whether a library of this profile gives a model what it needs.

        Pictures and sound may be larger and of a higher rate than needed; the frame rate must be a multiple of the
        needed one, because a clip takes every n-th picture.
        """
        return (
            self.short_side >= (needs.short_side or 0)
            and self.fps % (needs.fps or 1) == 0
            and self.audio_rate_hz >= (needs.audio_rate_hz or 0)
        )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "small": Profile(),
        "standard": Profile(short_side=256, audio_rate_hz=48_000),
        "large": Profile(short_side=384, audio_rate_hz=48_000),
        "full": Profile(fps=32, gop=32, short_side=384, audio_rate_hz=48_000),
    }
)
"""The profiles that have a name, each giving at least what the one before it gives."""


def find_profile(name: str) -> Profile:
    """Return the profile of a name.

    Raises:
        ConfigError: if there is none; the nearest name is given, and all.
    """
    if name not in PROFILES:
        raise ConfigError(
            f"no profile '{name}'{suggest_nearest(name, PROFILES)}; there are: {', '.join(PROFILES)} (change single "
            "values with --set profile.short_side=…)"
        )
    return PROFILES[name]


def choose_profile(needs: Needs) -> Profile:
    """Return the smallest profile with a name that meets `needs`, or one made for them if none does.

    Raises:
        ConfigError: if no library can give so much, or at that rate.
    """
    named = next((profile for profile in PROFILES.values() if profile.meets(needs)), None)
    return named or _fit_profile(needs)


def _fit_profile(needs: Needs) -> Profile:
    """Return the smallest named profile, raised to what `needs` asks for."""
    without_rate = Needs(needs.short_side, None, needs.audio_rate_hz)
    base = next((profile for profile in PROFILES.values() if profile.meets(without_rate)), PROFILES["large"])
    side = max(base.short_side, -(-(needs.short_side or 0) // _SIDE_STEP) * _SIDE_STEP)

    # The least multiple of the needed rate that has as many pictures as the named profile, if it may have so many.
    step = needs.fps or base.fps
    rates = [rate for rate in range(step, 121, step) if rate >= base.fps] or [step]
    least_hz = max(base.audio_rate_hz, needs.audio_rate_hz or 0)
    for fps in rates:
        for rate_hz in AUDIO_RATES_HZ:
            if rate_hz >= least_hz and rate_hz % fps == 0 and fps <= 120 and side <= 2160:
                return Profile(fps=fps, gop=fps, short_side=side, audio_rate_hz=rate_hz)
    raise ConfigError(
        f"no library can give {needs.describe()}: a profile has at most 2160 px, 120 pictures a second and "
        f"{AUDIO_RATES_HZ[-1]} Hz, and each picture starts on a sample; choose another rate for the clips"
    )


def describe_shortfall(model: str, needs: Needs, library: str, profile: Profile) -> str:
    """Return what a library lacks for a model, and the command that makes a library that does not.

    Args:
        model: What to call the model.
        needs: What it needs, more than `profile` gives.
        library: The library's location.
        profile: Its profile.

    Raises:
        ConfigError: as `choose_profile`.
    """
    return (
        f"{model} needs {needs.describe()}, and {library} has {profile.describe()}; make a library that has it: "
        f"talkies ingest SOURCES --library NEW {choose_profile(needs).options}"
    )


class ProfileChoice(Config):
    """The profile that is asked for: by `name`, by single values, or by both; nothing asks for none.

    Single values change those of the profile that is named, else those of the library's, and of a new library `small`.
    A frame rate without `gop` has a key frame every second.
    """

    name: str | None = None
    fps: Fps | None = None
    short_side: ShortSide | None = None
    gop: Gop | None = None
    audio_rate_hz: AudioRate | None = None

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """Return the choice of exactly this profile."""
        return cls(**profile.model_dump())

    def resolve(self, present: Profile | None) -> Profile:
        """Return the profile that is asked for.

        Args:
            present: The profile of the library; None for a new one.

        Raises:
            ConfigError: if there is no profile of that name, or the values do not go together.
        """
        base = find_profile(self.name) if self.name is not None else present or Profile()
        changes = self.model_dump(exclude={"name"}, exclude_none=True)
        if changes.get("fps", base.fps) != base.fps:
            changes.setdefault("gop", changes["fps"])
        return check(Profile, {**base.model_dump(), **changes}, "profile")
