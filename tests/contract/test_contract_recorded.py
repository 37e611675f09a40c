"""The double against what a real server was recorded to answer: the same status, the same error, the same shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from qdrant_client import models

from support.qdrant_server import QdrantServer, serving

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "qdrant-1.18.3.json").read_text())

Action = Callable[[QdrantServer], None]


def state(key: str, state: models.ReplicaState) -> Action:
    return lambda server: server.set_state("kb", key, state)


#: What consensus and a transfer did before a case, which the double does not do by itself.
BEFORE: dict[str, Action] = {
    "count acme in dedicated": state("acme", models.ReplicaState.ACTIVE),
    "demotion hazard: core reads during": state("fallback", models.ReplicaState.PARTIAL),
    "demote: write under the fence (key list)": state("fallback", models.ReplicaState.ACTIVE),
}


def filled(value: Any) -> Any:
    """A recorded body with its vectors put back; any will do."""
    if isinstance(value, dict):
        if "$vector" in value:
            return [0.125] * value["$vector"]
        return {key: filled(each) for key, each in value.items()}
    return [filled(each) for each in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """Keys and kinds. Lists count by their first element, nulls as if left out, whole numbers as numbers; peers' names
    are the cluster's own."""
    if isinstance(value, dict):
        shaped = {key: shape(each) for key, each in value.items() if each is not None}
        return shaped | {"peers": "any"} if "peers" in shaped else shaped
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return (
        "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    )


async def test_the_double_answers_as_the_real_server_did() -> None:
    differing = []
    async with (
        serving(QdrantServer()) as server,
        httpx.AsyncClient(base_url=server.url, verify=False) as client,
    ):
        for recorded in RECORDED["cases"]:
            BEFORE.get(recorded["case"], lambda server: None)(server)
            asked = recorded["request"]
            body = None if asked["body"] is None else filled(asked["body"])
            answer = await client.request(asked["method"], asked["path"], json=body)
            told, expected = recorded["response"]["status"], recorded["response"]["body"]
            got = answer.json()
            if (answer.status_code, got["status"]) != (told, expected["status"]):
                differing.append((recorded["case"], expected, got))
            elif shape(got) != shape(expected):
                differing.append((recorded["case"], shape(expected), shape(got)))

    assert differing == []
