"""The proxy profile: the frame rate, size and sample rate of all films of a library."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import Grid


class Profile(Config):
    """The format of proxies and training audio.

    Proxies have `fps` frames per second, a shorter side of `short_side` pixels and a key frame every `gop` frames;
    training audio is mono at `audio_rate_hz`.
    """

    fps: Annotated[int, Field(ge=1, le=120)] = 16
    short_side: Annotated[int, Field(ge=16, le=2160, multiple_of=4)] = 128
    gop: Annotated[int, Field(ge=1, le=600)] = 16
    audio_rate_hz: Annotated[int, Field(ge=8_000, le=96_000)] = 16_000

    @model_validator(mode="after")
    def _check_frames_start_on_samples(self) -> Self:
        Grid(self.fps, self.audio_rate_hz)
        return self

    @property
    def grid(self) -> Grid:
        """The frame and sample rates."""
        return Grid(self.fps, self.audio_rate_hz)
