"""Write and read results: one JSON file each, named for the task and a hash of the protocol."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from talkies.config import read_document
from talkies.core import UsageError, WorkError, describe_os_error
from talkies.evaluation.results.result import SCHEMA_VERSION, Result
from talkies.runtime import write_atomically


def write_result(result: Result, to: Path) -> Path:
    """Write a result, and return the path of its file.

    Args:
        result: the result.
        to: a file that ends in .json, or a folder; there the file's name has a hash of the protocol, so that results of
            different protocols do not replace each other.

    Raises:
        WorkError: if it cannot be written.
    """
    if to.suffix != ".json":
        method = result.protocol.get("method", "films")
        which = "public" if "license" in result.protocol else f"step-{result.protocol.get('checkpoint_step', 'bare')}"
        to = to / f"{result.task}-{method}-{which}-{_hash_protocol(result)}.json"
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(to, result.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise WorkError(f"{to} cannot be written ({describe_os_error(error)}); name another place with --to") from error
    return to


def check_writable(to: Path) -> None:
    """Check that a result may be written to a file or folder, without creating anything.

    Raises:
        UsageError: if it may not.
    """
    folder = to.parent if to.suffix == ".json" else to
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or (to.is_dir() and to.suffix == ".json"):
        raise UsageError(f"{to} cannot be written ({folder} is not a folder you may write to); name another with --to")


def read_results(root: Path) -> Iterator[tuple[Path, Result]]:
    """Yield the path and content of each result, in the order of paths.

    Args:
        root: a run, a folder with `results` folders at any depth, or a folder of result files.

    Raises:
        UsageError: if there is no such folder, it holds no result, or a result is damaged.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name a run, or a folder of results or runs")
    paths = sorted(root.glob("**/results/*.json"))
    if not paths and not (root / "run.json").exists():  # the JSON files of a run's own folder are not results
        paths = sorted(root.glob("*.json"))
    if not paths:
        raise UsageError(f"{root} holds no result; make one with: talkies evaluate TASK --run RUN --data DIR")
    kind, remedy = "a result of talkies evaluate", "; take it out of the folder"
    for path in paths:
        yield path, read_document(path, Result, kind, SCHEMA_VERSION, UsageError, remedy=remedy)


def _hash_protocol(result: Result) -> str:
    """Return a hash of task, protocol and inputs, without `chosen`, which follows from them."""
    protocol = {key: value for key, value in result.protocol.items() if key != "chosen"}
    text = f"{result.task} {protocol} {result.hashes}"
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
