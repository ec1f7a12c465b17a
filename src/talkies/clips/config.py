"""The config section `clip`: what a clip is made of."""

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from talkies.config import Config
from talkies.core import ClipShape, ConfigError


class ClipConfig(Config):
    """A clip is `frames` pictures at `fps` a second and `audio_seconds` of sound around them.

    With `auto` it is what the public encoders of the model usually take; the other keys are left out then, and a run's
    own config names the numbers.
    """

    frames: Annotated[int, Field(ge=1, le=1024)] = 16
    fps: Annotated[int, Field(ge=1, le=120)] = 16
    audio_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    auto: bool = False

    @model_validator(mode="after")
    def _check_auto_is_alone(self) -> Self:
        if self.auto and (given := sorted(self.model_fields_set - {"auto"})):
            raise ValueError(
                f"with auto the encoders decide on {given[0]}; leave it out, or set clip.auto=false and give frames, "
                "fps and audio_seconds"
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_what_is_not_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        if self.auto:
            return {"auto": True}
        values: dict[str, Any] = handler(self)
        values.pop("auto", None)
        return values

    def to_shape(self, grid_fps: int) -> ClipShape:
        """Return the clip's shape on the grid of a library with `grid_fps` frames a second.

        Raises:
            ConfigError: if the grid lacks the clip's pictures, or the sound is not a whole number of its frames.
        """
        if grid_fps % self.fps:
            accepted = [fps for fps in range(1, grid_fps + 1) if grid_fps % fps == 0]
            raise ConfigError(
                f"clip.fps must divide the library's {grid_fps} frames a second, got {self.fps}; take one of {accepted}"
            )
        audio_frames = self.audio_seconds * grid_fps
        if audio_frames != int(audio_frames):
            raise ConfigError(
                f"clip.audio_seconds must be a whole number of the library's frames (1/{grid_fps} s), "
                f"got {self.audio_seconds}"
            )
        return ClipShape(self.frames, grid_fps // self.fps, int(audio_frames))
