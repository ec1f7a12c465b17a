"""The sentence and the exit status of any error that ends a command."""

from talkies.core.errors import TalkiesError
from talkies.core.extras import explain_missing_package
from talkies.core.names import path_to_text
from talkies.core.words import describe_os_error

INTERRUPTED = 130  # the status that a shell gives a program stopped by Ctrl-C
STOPPED = "stopped; finished work is kept: run the command again to continue (pretrain with --resume)"


def is_unexpected(error: BaseException) -> bool:
    """Return whether an error is a bug of talkies, or a package that is missing."""
    return not isinstance(error, TalkiesError | OSError | KeyboardInterrupt)


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return the sentence that says what went wrong, and the exit status.

    The status is 1 if the work failed, 2 for a wrong argument or an unusable input, and 130 for Ctrl-C.
    """
    if isinstance(error, TalkiesError):
        return str(error), error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return STOPPED, INTERRUPTED
    if isinstance(error, OSError):
        where = f"{path_to_text(error.filename)}: " if isinstance(error.filename, str) else ""
        return f"{where}{describe_os_error(error)}", 1
    if isinstance(error, ModuleNotFoundError) and (sentence := explain_missing_package(error)):
        return sentence, 2
    bug = f"{type(error).__name__}: {error}"
    return f"bug in talkies: {bug}; please report it; TALKIES_TRACEBACK=1 shows where", 1
