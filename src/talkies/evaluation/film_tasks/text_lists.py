"""Reading the text files of published lists, which belong together in one version."""

from pathlib import Path

from talkies.core import UsageError, describe_os_error


def read_list(path: Path, remedy: str) -> str:
    """Return the text of a list.

    Args:
        path: The file.
        remedy: What the user can do if it cannot be read, such as `copy the whole folder …`.

    Raises:
        UsageError: if it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path} cannot be read ({cause}); {remedy}") from error
