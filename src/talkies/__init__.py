"""talkies: learn what pictures and sounds mean from films nobody labelled, and put it to use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at its first use, for PyTorch takes seconds to import
    from talkies.runs import load_encoder

__all__ = ["load_encoder"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "load_encoder":
        from talkies.runs import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
