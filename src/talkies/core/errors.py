"""The one exception tree: every expected failure is a `TalkiesError` whose text is one plain sentence.

    TalkiesError
    ├── UsageError     exit status 2: an argument is wrong or an input cannot be used
    │   ├── ConfigError    a recipe, a config file or an override
    │   ├── LibraryError   a library folder, or a film that is asked of it
    │   ├── MediaError     a media file
    │   ├── PlanError      a batch that the films cannot give
    │   └── RunError       a run folder
    └── WorkError      exit status 1: the work was begun and failed
        └── SourceError    a file that the system does not let us read, or that changes while it is read

A sentence says what was got, what is accepted, and what to do next.
"""

from typing import ClassVar


class TalkiesError(Exception):
    """Root of every failure that talkies foresees; its text is meant for the person at the keyboard."""

    exit_status: ClassVar[int] = 1


class UsageError(TalkiesError):
    """An argument is wrong, or an input cannot be used: nothing was begun."""

    exit_status: ClassVar[int] = 2


class WorkError(TalkiesError):
    """The work was begun and failed."""


class SourceError(WorkError):
    """A source cannot be read for a cause that is not its own: permission, a broken disk, a copy still under way."""


class ConfigError(UsageError):
    """A recipe, a config file or an override does not say what it must."""


class LibraryError(UsageError):
    """A folder is not a library, or does not hold the film that was asked for."""


class MediaError(UsageError):
    """A media file cannot be read as what it is taken for."""

    def __init__(self, code: str, sentence: str) -> None:
        """Keep the machine-readable `code` (such as `no_audio`) beside the sentence."""
        super().__init__(sentence)
        self.code = code

    def __reduce__(self) -> tuple[type["MediaError"], tuple[str, str]]:
        """Let the error cross from a worker process to its parent."""
        return type(self), (self.code, str(self))


class PlanError(UsageError):
    """The films cannot give the batch that was asked for."""


class RunError(UsageError):
    """A run folder is missing, incomplete, or of another model."""
