"""Probes in a process of their own: what they load may crash, and the command line may not import it."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The exit code of a process that the kernel stopped for want of an instruction.
_NO_INSTRUCTION = -signal.SIGILL


@dataclass(frozen=True)
class Probe:
    """How a probe ended."""

    code: int | None
    """The exit code, negative for a signal; None where time ran out."""
    output: str
    errors: str

    @property
    def end(self) -> str:
        """The end in words."""
        if self.code is None:
            return "did not end in time"
        if self.code == _NO_INSTRUCTION:
            return "was killed: this processor lacks an instruction that it needs (SIGILL)"
        if self.code < 0:
            return f"was killed by {signal.Signals(-self.code).name}"
        return f"ended with exit code {self.code}: {last_line(self.errors) or 'it said nothing'}"


def python_module(
    module: str,
    arguments: Sequence[str] = (),
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> Probe:
    """Runs `python -m module` to its end, at most `seconds` long."""
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env=None if environment is None else dict(environment),
        )
    except subprocess.TimeoutExpired as expired:
        return Probe(None, _text(expired.stdout), _text(expired.stderr))
    return Probe(done.returncode, done.stdout, done.stderr)


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
