"""A model as it is named in Python and on the command line: the folder of a run, or the address of public encoders."""

import hashlib
import re
from pathlib import Path

from talkies.core import UsageError
from talkies.library import Profile
from talkies.runs.address_encoder import is_model_address
from talkies.runs.clip_encoder import ClipEncoder
from talkies.runs.load_encoder import load_encoder

RESULTS = Path("results")
"""Where the results of public encoders go by default, in the current folder: they have no run folder."""


def parse_model(text: str | Path) -> str | Path:
    """Return an address of public encoders as it is, and anything else as the path of a run or exported model."""
    return text if isinstance(text, str) and is_model_address(text) else Path(text)


def load_model(model: str | Path, step: int | None = None, *, profile: Profile | None = None) -> ClipEncoder:
    """Return the encoders of a run, of an exported model, or of an address.

    Args:
        model: A folder or an address.
        step: The step of a run's checkpoint; None for the newest.
        profile: The profile of the library that public encoders are to encode.

    Raises:
        UsageError: if public encoders are asked for a step.
        RunError, ConfigError, LibraryError: as `load_encoder`.
    """
    named = parse_model(model)
    if isinstance(named, str) and step is not None:
        raise UsageError(f"{named} was not trained here, so it has no steps; leave --step out")
    return load_encoder(named, step, profile=profile)


def make_file_name(address: str) -> str:
    """Return a short name for files about public encoders; different addresses have different names."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", address.rsplit("/", 1)[-1]).strip("-").lower()[:32]
    return f"{words}-{hashlib.blake2b(address.encode(), digest_size=3).hexdigest()}"
