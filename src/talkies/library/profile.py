"""The proxy profile: what every film of a library is brought to."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import Grid


class Profile(Config):
    """Proxies at `fps` frames a second with the shorter side at `short_side` pixels and a key frame every `gop` frames;
    training audio in mono at `audio_rate_hz`.
    """

    fps: Annotated[int, Field(ge=1, le=120)] = 16
    short_side: Annotated[int, Field(ge=16, le=2160, multiple_of=4)] = 128
    gop: Annotated[int, Field(ge=1, le=600)] = 16
    audio_rate_hz: Annotated[int, Field(ge=8_000, le=96_000)] = 16_000

    @model_validator(mode="after")
    def _frames_begin_on_samples(self) -> Self:
        Grid(self.fps, self.audio_rate_hz)
        return self

    @property
    def grid(self) -> Grid:
        """The frame and sample rates."""
        return Grid(self.fps, self.audio_rate_hz)
