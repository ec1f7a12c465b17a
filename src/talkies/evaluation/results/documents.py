"""Results on disk: one JSON file each, named for what was measured and how."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from talkies.config import read_document
from talkies.core import UsageError, WorkError, describe_os_error
from talkies.evaluation.results.result import SCHEMA_VERSION, Result
from talkies.runtime import write_atomically


def write_result(result: Result, to: Path) -> Path:
    """Return where a result was written: `to` itself if it ends in .json, else a file in that folder.

    The file's name tells the protocol, so that another one's result does not take its place.

    Raises:
        WorkError: if it cannot be written.
    """
    if to.suffix != ".json":
        method = result.protocol.get("method", "films")
        step = result.protocol.get("checkpoint_step", "bare")
        to = to / f"{result.task}-{method}-step-{step}-{_digest(result)}.json"
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(to, result.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise WorkError(f"{to} cannot be written ({describe_os_error(error)}); name another place with --to") from error
    return to


def check_place(to: Path) -> None:
    """Do nothing if a result may be written there; nothing is made.

    Raises:
        UsageError: if it may not.
    """
    place = to.parent if to.suffix == ".json" else to
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK) or (to.is_dir() and to.suffix == ".json"):
        raise UsageError(f"{to} cannot be written ({place} is no folder that you may write); name another with --to")


def read_results(root: Path) -> Iterator[tuple[Path, Result]]:
    """Yield each result in the `results` folders of a folder, however deep, or else in itself, in the order of paths.

    Raises:
        UsageError: if there is no such folder, it holds none, or one is damaged.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name a run, or a folder of results or runs")
    paths = sorted(root.glob("**/results/*.json"))
    if not paths and not (root / "run.json").exists():  # a run's own documents are no results
        paths = sorted(root.glob("*.json"))
    if not paths:
        raise UsageError(f"{root} holds no result; make one with: talkies evaluate TASK --run RUN --data DIR")
    for path in paths:
        remedy = "; take it out of the folder"
        yield path, read_document(path, Result, "a result of talkies evaluate", SCHEMA_VERSION, UsageError, remedy)


def _digest(result: Result) -> str:
    apart = {"chosen"}  # it follows from the others
    told = f"{result.task} { {k: v for k, v in result.protocol.items() if k not in apart} } {result.hashes}"
    return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()
