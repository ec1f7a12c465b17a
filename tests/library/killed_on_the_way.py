"""Do one change to a library again and again, killed before its first touch of the disk, before its second, and so on.

Run as: killed_on_the_way.py CHANGE LIBRARY FOLDER. FOLDER/<n> is left as the kill before touch *n* left it; the last
one was not killed. Each begins as a copy of LIBRARY.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from talkies.core import FilmId, Span
from talkies.library import SHOT, FilmRecord, Library, Verdict, write_annotations, write_json

OLD, NEW = FilmId("a" * 16), FilmId("b" * 16)
_TOUCHES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def put(library: Library, film_id: FilmId, source: str) -> None:
    """Commit a film, and bring the tables up to date."""
    record = FilmRecord(
        film_id=film_id, source=source, source_bytes=1, verdict=Verdict.ACCEPTED, duration_seconds=5, frames=80, shots=1
    )
    with library.commit_film(film_id) as folder:
        (folder / "proxy.mp4").write_bytes(source.encode() * 99)
        write_annotations(folder / "shots.parquet", {SHOT: [Span(0, 80)], "black": [Span(0, len(source))]})
        size = sum(file.stat().st_size for file in folder.iterdir())
        write_json(folder / "film.json", record.model_copy(update={"stored_bytes": size}))
    library.update_catalogue()


def judge_anew(library: Library) -> None:
    """Write the old film's record anew."""
    record = library.record_of(OLD)
    assert record is not None
    library.replace_record(record.model_copy(update={"verdict": Verdict.WARNED}))
    library.update_catalogue()


def take_out(library: Library) -> None:
    """Take the old film out."""
    library.remove(OLD)
    library.update_catalogue()


CHANGES: dict[str, Callable[[Path], None]] = {
    "create": lambda root: Library.create(root).sweep(),
    "add": lambda root: put(Library.open(root), NEW, "/films/new.mp4"),
    "replace": lambda root: put(Library.open(root), OLD, "/films/old, mended.mp4"),
    "judge anew": lambda root: judge_anew(Library.open(root)),
    "take out": lambda root: take_out(Library.open(root)),
    "sweep": lambda root: Library.open(root).sweep(),
}


def killed(change: Callable[[Path], None], root: Path, before_touch: int) -> bool:
    """Do a change to the library `root` in a process that dies before a touch; return whether it did."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    touches = 0

    def die(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal touches
        if event in _TOUCHES or (event == "open" and arguments[2] & _WRITING):
            if touches == before_touch:
                os.kill(os.getpid(), signal.SIGKILL)
            touches += 1

    os.fsync = lambda _: None  # a killed process loses nothing that it wrote, only a machine does
    sys.addaudithook(die)
    change(root)
    os._exit(0)


def main(change: str, library: Path, folder: Path) -> None:
    """Leave a library for every touch."""
    touch, going = 0, True
    while going:
        root = folder / f"{touch:03d}"
        if library.exists():
            shutil.copytree(library, root)
        going = killed(CHANGES[change], root, touch)
        touch += 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
