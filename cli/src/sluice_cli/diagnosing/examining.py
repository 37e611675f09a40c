"""Runs all checks at once: each bounded in time, and none of them able to end the others."""

import queue
import threading
import time
from collections.abc import Sequence

from sluice_cli.diagnosing.findings import Check, Entry, failed

#: Seconds for all checks together. Each probe has a shorter limit of its own; this one is for what hangs in spite of
#: it, such as a look at a file on a server that has gone.
PATIENCE = 60.0


def examine(checks: Sequence[Check], patience: float = PATIENCE) -> list[Entry]:
    """What the checks find, in their order. A check that raises, or does not end in time, is a failed one."""
    done: queue.SimpleQueue[tuple[int, list[Entry]]] = queue.SimpleQueue()
    for index, check in enumerate(checks):
        # Daemons, not a pool: a pool would wait at the end for the one that hangs.
        threading.Thread(target=_run, args=(index, check, done), daemon=True).start()
    found: dict[int, list[Entry]] = {}
    deadline = time.monotonic() + patience
    while len(found) < len(checks):
        try:
            index, entries = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        found[index] = entries
    late = f"did not end within {patience:.0f} s"
    return [
        entry
        for index, check in enumerate(checks)
        for entry in found.get(
            index, [_broken(check, late, "run `sluice doctor` again when the machine is less busy")]
        )
    ]


def _run(index: int, check: Check, done: "queue.SimpleQueue[tuple[int, list[Entry]]]") -> None:
    try:
        entries = [Entry(check.group, finding) for finding in check.look()]
    except PermissionError as error:
        remedy = "run `sluice doctor` as the user that Sluice runs as, or give yourself the right to read it"
        entries = [_broken(check, f"{error.filename} cannot be read: {error.strerror}", remedy)]
    except Exception as error:
        detail = f"the check itself broke: {type(error).__name__}: {error}"
        entries = [_broken(check, detail, "report this line as a defect of `sluice doctor`")]
    done.put((index, entries))


def _broken(check: Check, detail: str, remedy: str) -> Entry:
    return Entry(check.group, failed(check.name, detail, remedy))
