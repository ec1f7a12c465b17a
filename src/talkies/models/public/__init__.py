"""Encoders that others trained, by address: what each takes, and how talkies runs it."""

from talkies.models.public.base import PublicEncoder, PublicTower, TextEncoder
from talkies.models.public.open import list_modalities, open_text, open_tower

__all__ = ["PublicEncoder", "PublicTower", "TextEncoder", "list_modalities", "open_text", "open_tower"]
