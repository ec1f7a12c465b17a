"""Let a process that is told to end (SIGTERM) live a moment longer, so that its threads can report why."""

import os
import signal
import socket
import threading
import time

_MOMENT_SECONDS = 1.0


class DelayedTermination:
    """From now on SIGTERM ends this process after a moment, even if its main thread waits in a library.

    Python would run a handler only when the main thread returns to it, and the system's ends the process at once.
    Nothing changes where SIGTERM has a handler already, or this is not the main thread.
    """

    def __init__(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        self._is_set = is_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        if not self._is_set:
            return
        self._wakes, self._waits = socket.socketpair()
        self._wakes.setblocking(False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._former = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="delayed-termination", daemon=True).start()

    def close(self) -> None:
        """Let SIGTERM end this process at once again."""
        if self._is_set:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.set_wakeup_fd(self._former)
            self._wakes.close()
            self._is_set = False

    def _wait(self) -> None:
        while received := self._waits.recv(64):
            if signal.SIGTERM in received:
                time.sleep(_MOMENT_SECONDS)
                os._exit(128 + signal.SIGTERM)
        self._waits.close()
