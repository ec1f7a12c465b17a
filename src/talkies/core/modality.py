"""The two modalities of a film."""

from typing import Literal, get_args

Modality = Literal["video", "audio"]
"""Pages and messages for people say picture and sound."""
MODALITIES: tuple[Modality, ...] = get_args(Modality)
