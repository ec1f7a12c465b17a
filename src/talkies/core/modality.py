"""The two modalities of a film, and the choice of one of them or both."""

from typing import Literal, get_args

Modality = Literal["video", "audio"]
"""Pages and messages for people say picture and sound."""
MODALITIES: tuple[Modality, ...] = get_args(Modality)
ModalityChoice = Literal["video", "audio", "both"]
"""What a caller asks for: one modality of a film, or both."""
