"""The real files that composed films are made of, and the hashes that identify them."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from talkies.core import SourceError, UsageError, describe_os_error, format_path


@dataclass(frozen=True, slots=True)
class Materials:
    """The files of composed films.

    Attributes:
        classes: the names of the classes, at least two.
        sounds: recordings of each class; a class without any sounds like its clips. Empty: no class has any.
        clips: action clips of each class, whose pictures are shown; a class without any is shown as a drawn motion.
        backgrounds: the films whose stretches are backgrounds and themes; they may be left out at a `mark_strength`
            of 0.
    """

    classes: tuple[str, ...]
    sounds: tuple[tuple[Path, ...], ...] = ()
    clips: tuple[tuple[Path, ...], ...] = ()
    backgrounds: tuple[Path, ...] = ()

    def check(self, mark_strength: float) -> None:
        """Check that films can be composed.

        Raises:
            UsageError: if there are fewer than two classes, two of one name, a list does not have one entry for each
                class, a class has neither sounds nor clips, or backgrounds are missing.
        """
        count = len(self.classes)
        if count < 2 or len(set(self.classes)) < count:
            raise UsageError(f"composed films need at least two classes of different names, got {count}; name more")
        for what, files in (("sounds", self.sounds), ("clips", self.clips)):
            if files and len(files) != count:
                raise UsageError(
                    f"the {what} of composed films are listed class by class, got {len(files)} lists for "
                    f"{count} classes; give one for each"
                )
        for number, name in enumerate(self.classes):
            if not self.list_sounds(number) and not self.list_clips(number):
                raise UsageError(f"class '{name}' of the composed films has no sounds and no clips; give it some")
        if mark_strength > 0 and not self.backgrounds:
            raise UsageError(
                "composed films need a film as background; name one, or set mark_strength to 0 for plain grey"
            )

    def list_sounds(self, number: int) -> tuple[Path, ...]:
        """Return the recordings of a class."""
        return self.sounds[number] if self.sounds else ()

    def list_clips(self, number: int) -> tuple[Path, ...]:
        """Return the clips of a class."""
        return self.clips[number] if self.clips else ()


def hash_material(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits; each file is read once.

    Raises:
        SourceError: if it cannot be read.
    """
    try:
        status = path.stat()
        return _hash_once(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise SourceError(f"{format_path(path)} cannot be read ({describe_os_error(error)})") from error


@lru_cache(maxsize=1 << 18)
def _hash_once(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
