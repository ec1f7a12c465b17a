"""Tell a lack of memory from other errors, whichever library it comes from."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from talkies.core.errors import WorkError

# PyTorch, safetensors and C++ report it in these words, as errors of general classes.
_WORDS = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc", "alloc_failed")


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there was not enough memory, of the machine or of a GPU."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error).lower() for words in _WORDS)


@contextmanager
def explain_lack_of_memory(what: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory within the block into one sentence.

    Args:
        what: what was done, as in `not enough memory to …`.
        remedy: what to do about it.

    Raises:
        WorkError: if there is not enough memory.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise WorkError(f"not enough memory to {what}; {remedy}") from error
