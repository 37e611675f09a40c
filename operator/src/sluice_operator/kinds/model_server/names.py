"""Names of what is made for a model server. Pure."""

import hashlib
import re

#: The longest name of a Deployment that all of its pods' names fit behind: 63, less the set's hash and the pod's.
_LONGEST = 46
_LONGEST_LABEL = 63
_LONGEST_SECRET = 253
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_AGENT = "-adapter-agent"


def child(server: str) -> str:
    """Of the Deployment, the Service and their like: the server's own, where a Service may be called so."""
    if len(server) <= _LONGEST and _SERVICE.fullmatch(server):
        return server
    words = re.sub(r"[^a-z0-9]+", "-", server)
    start = words if words[0].isalpha() else f"m{words}"
    return f"{start[: _LONGEST - 9].strip('-')}-{_hash(server)}"


def agent_secret(server: str) -> str:
    """Of the Secret that holds the adapter agent's token, under the key `token`."""
    name = f"{server}{_AGENT}"
    if len(name) <= _LONGEST_SECRET:
        return name
    return f"{server[: _LONGEST_SECRET - len(_AGENT) - 9].strip('-.')}-{_hash(server)}{_AGENT}"


def label(server: str) -> str:
    """Of the server, as the value of a label."""
    if len(server) <= _LONGEST_LABEL:
        return server
    return f"{server[: _LONGEST_LABEL - 9].strip('-.')}-{_hash(server)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
