"""Read JSON documents that carry a schema version, as every artefact on disk does."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from talkies.core import TalkiesError, describe_os_error

Document = TypeVar("Document", bound=BaseModel)


def read_document(
    path: Path,
    kind: type[Document],
    what: str,
    newest_version: int,
    error_type: type[TalkiesError],
    *,
    remedy: str = "",
) -> Document:
    """Return the document at `path`.

    Args:
        path: the JSON file.
        kind: the class of the document.
        what: the name of the document in messages: `the record of a run`.
        newest_version: the newest schema version that this talkies reads. The version is checked first, because a
            newer document may hold fields that this talkies does not know.
        error_type: the type of the error that is raised.
        remedy: what to do about a damaged document, appended to messages: `; embed again`.

    Raises:
        TalkiesError: an `error_type`, if the file cannot be read, is newer than `newest_version`, or is not such a
            document.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise error_type(f"{path} cannot be read as {what} ({describe_os_error(error)}){remedy}") from error

    version = _find_version(data)
    if version is not None and version > newest_version:
        raise error_type(
            f"{path} is of schema version {version}, this talkies reads up to {newest_version}; install a newer talkies"
        )

    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise error_type(f"{path} is not {what}, or is damaged{remedy}") from error


def _find_version(data: bytes) -> int | None:
    """Return the schema version that JSON data states, None if there is none."""
    try:
        document: Any = json.loads(data)
    except ValueError:
        return None
    version = document.get("schema_version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else None
