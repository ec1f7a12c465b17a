"""The base of every config."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A typed, frozen config: unknown keys are refused, values are never converted silently."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
