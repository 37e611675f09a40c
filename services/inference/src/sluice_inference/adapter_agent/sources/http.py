"""Archives by URL."""

from pathlib import Path

from yarl import URL

from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import credentials, remote
from sluice_inference.adapter_agent.sources.remote import Remote
from sluice_inference.adapter_agent.sources.taking import check_both, take_archive


async def fetch(url: str, remote_: Remote, credentials_file: Path | None, sink: Sink) -> str:
    """Reads an adapter out of the archive at a URL.

    Returns:
        The host, and the archive's digest.

    Raises:
        ServiceError: there is none to be had.
    """
    try:
        parsed = URL(url)
    except ValueError:
        raise failure(Reason.SOURCE_INVALID, "the source's URL is none") from None
    host = parsed.host or ""
    headers = {}
    if credentials.may_carry(parsed.scheme, host) and (login := credentials.of_host(credentials_file, host)):
        headers["authorization"] = login.header
    async with remote_.answer(url, headers) as response:
        remote.check(response, f"{host}: the archive")
        found, digest = await take_archive(response, sink)
    check_both(found, "the archive")
    return f"{host}@{digest}"
