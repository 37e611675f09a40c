"""The folder of modules: files of any name, found by the digest of what they hold."""

import hashlib
import logging
from collections.abc import Collection
from pathlib import Path

from sluice_guardrail.wasm.failures import ModuleRefused

_LOG = logging.getLogger(__name__)

#: The largest module; larger ones take minutes to compile.
MAX_MODULE_BYTES = 32 << 20


class ModulesFolder:
    """Modules by digest. Not thread-safe; files are read again only where size, time or place has changed.

    A ConfigMap's folder has links to files below `..data`, which is itself replaced when it changes.

    Args:
        kept: Where copies are kept of modules that serve, so that they do after a restart, too.
    """

    def __init__(self, folder: Path | None, kept: Path | None = None) -> None:
        self._folder = folder
        self._kept = kept
        self._digests: dict[tuple[str, int, int, int], str] = {}

    def read(self, digest: str) -> bytes:
        """The module with a SHA-256, hex.

        Raises:
            ModuleRefused: no file of the folder has it, and none is kept.
        """
        if self._kept is not None and (self._kept / digest).is_file():
            content = self._content(self._kept / digest, digest)
            if content is not None:
                return content
        if self._folder is None:
            raise ModuleRefused("no modules folder is set (SLUICE_MODULES_DIR)")
        too_large = []
        for file in self._files(self._folder):
            try:
                if file.stat().st_size > MAX_MODULE_BYTES:
                    too_large.append(file.name)
                elif self._digest(file) == digest and (content := self._content(file, digest)) is not None:
                    return content
            except OSError as error:  # removed or replaced meanwhile
                _LOG.info("%s cannot be read: %s", file, error)
        note = f"; larger than {MAX_MODULE_BYTES >> 20} MiB and left out: {too_large[0]}" if too_large else ""
        raise ModuleRefused(f"no file in {self._folder} has this digest{note}")

    def keep(self, digest: str, content: bytes) -> None:
        """Keeps a copy. A disk that is full costs only what a later start might need."""
        if self._kept is None or (self._kept / digest).is_file():
            return
        partial = self._kept / f"{digest}.partial"
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(self._kept / digest)
        except OSError as error:
            _LOG.warning("a module cannot be kept: %s", error)

    def forget_all_but(self, digests: Collection[str]) -> None:
        """Removes the copies of other modules."""
        if self._kept is not None and self._kept.is_dir():
            for file in self._kept.iterdir():
                if file.name not in digests:
                    file.unlink(missing_ok=True)

    def _files(self, folder: Path) -> list[Path]:
        try:
            return sorted(
                file for file in folder.iterdir() if not file.name.startswith("..") and file.is_file()
            )
        except OSError as error:
            raise ModuleRefused(f"the modules folder cannot be read: {error}") from None

    def _digest(self, file: Path) -> str:
        facts = file.stat()
        key = (file.name, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(file.read_bytes()).hexdigest()
        return self._digests[key]

    def _content(self, file: Path, digest: str) -> bytes | None:
        """What is compiled is what was hashed, even where the file changes in between."""
        content = file.read_bytes()
        return content if hashlib.sha256(content).hexdigest() == digest else None
