"""URLs as documents: the server fetches what is behind them."""

from collections.abc import Iterable

from sluice_cli.documents import URL_BYTES, Document
from sluice_cli.errors import usage


def is_url(source: str) -> bool:
    """True for what is to be fetched rather than read."""
    return source.lower().startswith(("http://", "https://"))


def listed(lines: Iterable[str], name: str) -> list[str]:
    """The URLs of a list, one a line; blank lines and those that start with # say nothing.

    Raises:
        CommandError: a line is none.
    """
    urls: list[str] = []
    for number, line in enumerate(lines, 1):
        url = line.strip()
        if url and not url.startswith("#"):
            if not is_url(url):
                raise usage(f"{name}:{number}: {url!r} is not a URL of http or https")
            urls.append(url)
    return urls


def document(url: str) -> Document:
    """The document that is behind a URL."""
    return Document(url, {"id": url, "url": url}, URL_BYTES)
