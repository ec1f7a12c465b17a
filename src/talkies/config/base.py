"""The base class of every config."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A typed, frozen config: unknown keys are refused, and values are never converted silently.

    A subclass lists the keys that it no longer has. Files and `--set` may still use them, with a warning:
    `renamed_keys` maps a former key to the present one, `dropped_keys` a key that is ignored to the reason.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    renamed_keys: ClassVar[Mapping[str, str]] = {}
    dropped_keys: ClassVar[Mapping[str, str]] = {}
