"""Encoders that others trained, by address: what each takes, and how talkies runs it."""

from talkies.models.public.base import PublicEncoder, PublicTower, TextEncoder, compute_tower_stamp, describe_base
from talkies.models.public.open import build_described_tower, list_modalities, open_text, open_tower
from talkies.models.public.record import PublicBase

__all__ = [
    "PublicBase",
    "PublicEncoder",
    "PublicTower",
    "TextEncoder",
    "build_described_tower",
    "compute_tower_stamp",
    "describe_base",
    "list_modalities",
    "open_text",
    "open_tower",
]
