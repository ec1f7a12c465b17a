"""Small checkpoints of public sound encoders, each saved once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """Saves the small checkpoint of a family once, and returns its folder and the network of transformers."""
    pytest.importorskip("transformers")
    from sound_families import HEADS, PICTURES, SOUNDS, WITH_TIMM

    from talkies.models.public.checkpoint import silence

    made: dict[str, tuple[Path, Any]] = {}

    def save(name: str) -> tuple[Path, Any]:
        if name not in made:
            savers = {**SOUNDS, **PICTURES, **WITH_TIMM}
            savers |= {head: partial(save, head=head) for head, save in HEADS.items()}
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            with silence():
                made[name] = folder, savers[name](folder)
        return made[name]

    return save
