"""The one exception tree: every expected failure is a `TalkiesError` whose text is one plain sentence.

    TalkiesError
    ├── UsageError     exit status 2: an argument is wrong or an input cannot be used
    │   ├── ConfigError    a recipe, a config file or an override
    │   ├── LibraryError   a library folder, or a film that it should hold
    │   ├── MediaError     a media file
    │   ├── PlanError      a batch that cannot be drawn from the films
    │   └── RunError       a run folder
    └── WorkError      exit status 1: the work started and failed
        ├── SourceError    a file that the system does not let us read, or that changes while it is read
        └── ReportedError  the user has been told already, by this process or another

The sentence says what was given, what is accepted, and what to do next.
"""

from typing import ClassVar


class TalkiesError(Exception):
    """Base class of every expected failure; its text is written for the user."""

    exit_status: ClassVar[int] = 1


class UsageError(TalkiesError):
    """An argument is wrong, or an input cannot be used; no work was started."""

    exit_status: ClassVar[int] = 2


class WorkError(TalkiesError):
    """The work started and failed."""


class SourceError(WorkError):
    """A file cannot be read, but is not itself at fault: permissions, a broken disk, a copy that is still running."""


class ReportedError(WorkError):
    """One of several processes that work together failed, and its sentence, which this is, has been shown already."""

    def __init__(self, sentence: str, status: int) -> None:
        """Store the exit status of the process that failed next to its sentence."""
        super().__init__(sentence)
        self.status = status

    def __reduce__(self) -> tuple[type["ReportedError"], tuple[str, int]]:
        """Make the error picklable, so that a worker process can send it to its parent."""
        return type(self), (str(self), self.status)


class ConfigError(UsageError):
    """A recipe, a config file or an override is wrong."""


class LibraryError(UsageError):
    """A folder is not a library, or does not hold the film that was asked for."""


class MediaError(UsageError):
    """A media file cannot be used as video or audio."""

    def __init__(self, code: str, sentence: str) -> None:
        """Store the machine-readable `code` (such as `no_audio`) next to the sentence."""
        super().__init__(sentence)
        self.code = code

    def __reduce__(self) -> tuple[type["MediaError"], tuple[str, str]]:
        """Make the error picklable, so that a worker process can send it to its parent."""
        return type(self), (self.code, str(self))


class PlanError(UsageError):
    """A batch of the requested size cannot be drawn from the films."""


class RunError(UsageError):
    """A run folder is missing, incomplete, or belongs to another model."""
