"""JSON documents with a schema version, as every artefact on disk has one."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from talkies.core import TalkiesError, describe_os_error

Document = TypeVar("Document", bound=BaseModel)


def read_document(
    path: Path, kind: type[Document], what: str, newest: int, fault: type[TalkiesError], remedy: str = ""
) -> Document:
    """Return the document at `path`, called `what` in sentences; `remedy` says what to do if it is damaged.

    `newest` is the newest schema version that this talkies reads; the version is looked at before anything else, for a
    newer document may hold what this talkies does not know.

    Raises:
        TalkiesError: a `fault`, if it cannot be read, is newer than `newest`, or is no such document.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise fault(f"{path} cannot be read as {what} ({describe_os_error(error)}){remedy}") from error
    version = _version_in(data)
    if version is not None and version > newest:
        raise fault(
            f"{path} is of schema version {version}, this talkies reads up to {newest}; install a newer talkies"
        )
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise fault(f"{path} is not {what}, or is damaged{remedy}") from error


def _version_in(data: bytes) -> int | None:
    try:
        document: Any = json.loads(data)
    except ValueError:
        return None
    version = document.get("schema_version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else None
