"""Walk through a folder and the folders that links in it lead to; whatever cannot be read is noted, and the rest read.

A folder is entered once, by its own path if it has one below the folder that was named. A link that leads to a folder
around it is a loop and is not followed.
"""

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from talkies.core import describe_os_error, format_path


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder, file or link that could not be read while films were searched: its path, and a sentence about it."""

    location: str
    message: str


@dataclass(slots=True)
class WalkedFolder:
    """What a folder holds: its files in the order of their paths, what could not be read, and the loops among links."""

    files: list[Path] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    loops: int = 0


def walk_folder(folder: Path) -> WalkedFolder:
    """Return the files in a folder and its subfolders except hidden ones and those of libraries; links are followed.

    Raises:
        OSError: if the folder itself cannot be listed.
    """
    with os.scandir(folder):  # an unreadable folder below it is noted; this one is an error
        pass
    walk = _Walk()
    walk.enter(str(folder))
    while walk.waiting:  # links last: a folder that is also reached without one keeps its own path
        walk.follow(walk.waiting.popleft())
    walk.found.files.sort()
    walk.found.unreadable.sort(key=lambda each: each.location)
    return walk.found


class _Walk:
    """The folders entered so far, by device and inode, and the links to folders that wait to be followed."""

    def __init__(self) -> None:
        self.found = WalkedFolder()
        self.waiting: deque[str] = deque()
        self._entered: set[tuple[int, int]] = set()

    def enter(self, root: str) -> None:
        """List a folder and all folders below it, except those that were entered before."""
        folders = [root]
        while folders:
            folder = folders.pop()
            try:
                entries = self._list_once(folder)
            except OSError as error:
                self._note(folder, f"cannot be searched ({describe_os_error(error)})")
                continue
            if any(entry.name == "library.json" for entry in entries):
                continue
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            folders += [entry.path for entry in reversed(visible) if self._sort_entry(entry)]

    def _list_once(self, folder: str) -> list[os.DirEntry[str]]:
        """Return the entries of a folder in the order of their names; none if it was listed before."""
        status = Path(folder).stat()
        key = status.st_dev, status.st_ino
        if key in self._entered:
            return []
        self._entered.add(key)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def follow(self, link: str) -> None:
        """Enter the folder that a link leads to, unless the link is a loop."""
        target = os.path.realpath(link)
        around = os.path.realpath(Path(link).parent)
        if os.path.commonpath([target, around]) == target:
            self.found.loops += 1
        else:
            self.enter(link)

    def _sort_entry(self, entry: os.DirEntry[str]) -> bool:
        """Note a file or a link; return whether the entry is a folder of its own."""
        try:
            if entry.is_dir(follow_symlinks=False):
                return True
            if entry.is_dir():
                self.waiting.append(entry.path)
            elif entry.is_file():
                self.found.files.append(Path(entry.path))
            elif entry.is_symlink():
                entry.stat()
        except FileNotFoundError:
            self._note(entry.path, f"is a link to {format_path(Path(entry.path).readlink())}, which does not exist")
        except OSError as error:
            self._note(entry.path, f"cannot be read ({describe_os_error(error)})")
        return False

    def _note(self, location: str, problem: str) -> None:
        self.found.unreadable.append(Unreadable(location, f"{format_path(location)} {problem}"))
