"""Repositories on a hub, by its HTTP API (https://huggingface.co/docs/hub/api); pinned to a commit first.

`huggingface_hub` is not used: it connects by itself, past the check of addresses, and keeps a cache of its own.
"""

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sluice_api.objects.lora_adapter import HuggingFaceSource
from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import archives, credentials, remote
from sluice_inference.adapter_agent.sources.remote import Remote

#: `owner/name` or `name`, as the hub allows them.
_REPO: Final = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
#: The hub's own word for what is wrong.
_CODE: Final = "x-error-code"


async def fetch(
    source: HuggingFaceSource, remote_: Remote, hub: str, token_file: Path | None, sink: Sink
) -> str:
    """Takes an adapter's two files out of a repository.

    Args:
        hub: Its URL; the token is sent there and nowhere else.

    Returns:
        `owner/name@commit`.

    Raises:
        ServiceError: there is none to be had.
    """
    if not _REPO.fullmatch(source.repo) or ".." in source.repo:
        raise failure(Reason.SOURCE_INVALID, f"{source.repo!r} is no repository: owner/name")
    token = credentials.token(token_file)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    told = await _revision(source, remote_, hub, headers)
    commit, names = told.get("sha"), _names(told)
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise failure(Reason.SOURCE_REFUSED, f"the hub does not tell the commit of {source.repo}")
    for name in files.BOTH:
        if name not in names:
            if name == files.WEIGHTS and names & files.PICKLES:
                raise archives.pickled()
            raise failure(Reason.SOURCE_NOT_FOUND, f"{source.repo} has no {name} at {source.revision}")
        url = f"{hub}/{source.repo}/resolve/{commit}/{name}"
        await remote_.download(url, sink, name, headers)
    return f"{source.repo}@{commit}"


async def _revision(
    source: HuggingFaceSource, remote_: Remote, hub: str, headers: dict[str, str]
) -> dict[str, Any]:
    url = f"{hub}/api/models/{source.repo}/revision/{quote(source.revision, safe='')}"
    what = f"{source.repo} at {source.revision}"
    async with remote_.answer(url, headers) as response:
        if response.status == 401 and response.headers.get(_CODE) in (None, "RepoNotFound"):
            # the hub does not tell strangers which of its repositories there are
            why = "the hub's token may not read it" if headers else "it is private and the agent has no token"
            raise failure(Reason.SOURCE_FORBIDDEN, f"{what} does not exist, or {why}")
        remote.check(response, what, response.headers.get(_CODE, ""))
        told = remote.parsed(await remote.body(response), "the hub")
    return told if isinstance(told, dict) else {}


def _names(told: dict[str, Any]) -> frozenset[str]:
    siblings = told.get("siblings")
    listed = siblings if isinstance(siblings, list) else []
    return frozenset(str(file.get("rfilename")) for file in listed if isinstance(file, dict))
