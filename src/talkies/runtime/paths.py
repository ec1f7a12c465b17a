"""Find the file that a path means if the path spells a letter in another way than the file system."""

import os
from pathlib import Path

from talkies.core.errors import UsageError
from talkies.core.names import format_path, normalize_name, path_to_text


def find_path(path: Path) -> Path:
    """Return `path` if it exists, or else the one path that is equal to it in NFC; without such a path, `path`.

    A keyboard writes the letter é as one character, and some systems store it as two.

    Raises:
        UsageError: if several files have names that are equal to it in NFC.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    folder, wanted = find_path(path.parent), _normalize(path.name)
    try:
        matches = [each for each in folder.iterdir() if _normalize(each.name) == wanted]
    except OSError:
        return path
    if len(matches) > 1:
        raise UsageError(
            f"{format_path(path)} names {len(matches)} files, whose names differ only in how letters are encoded; "
            "rename all but one"
        )
    return matches[0] if matches else path


def _normalize(name: str) -> str:
    return normalize_name(path_to_text(name))
