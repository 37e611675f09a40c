"""What every worker process of the retriever does first."""

import ctypes
import os
import signal
import threading
import time

_PR_SET_PDEATHSIG = 1


def tie_to(parent: int) -> None:
    """Ties this process's life to its parent's: an orphan would hold locks and memory for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    # prctl is Linux's alone, and misses a parent that died before it was called.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
