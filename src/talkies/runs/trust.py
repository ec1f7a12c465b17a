"""Code that a run names: it is run only where the user trusts it.

A run, an exported model or a library may come from a stranger. What they hold is data, but an address
`python:MODULE:FUNCTION` in them names code. On the command line and in a recipe, that address is the user's own word.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from talkies.core import RunError
from talkies.models import EncoderAddress

TRUST_VARIABLE = "TALKIES_TRUST_CODE"
"""Set to 1 by `--trust-code`, so that worker processes know it too."""


def check_trust(addresses: Iterable[str], where: str | Path, *, trust_code: bool = False) -> None:
    """Check that no address in a run names code, or that the user trusts it.

    Args:
        addresses: the addresses of the encoders.
        where: the run, exported model or library that names them, for the message.
        trust_code: whether the user trusts them; so does the environment variable `TALKIES_TRUST_CODE=1`.

    Raises:
        RunError: if one names code and the user has not said so.
    """
    if trust_code or os.environ.get(TRUST_VARIABLE) == "1":
        return
    for text in addresses:
        if EncoderAddress.parse(text).scheme == "python":
            raise RunError(
                f"{where} names {text}, and loading it runs that code; if you trust it, add --trust-code (in Python "
                "trust_code=True)"
            )
