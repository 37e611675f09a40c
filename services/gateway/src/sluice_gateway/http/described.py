"""How routes tell OpenAPI what they take and give: one call in a route's decorator."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from sluice_gateway.http.parameters import WHO, Json, parameter
from sluice_gateway.http.replies.runs import Accepted
from sluice_gateway.http.state import ARM_HEADER, RUN_HEADER

__all__ = ["ERROR", "Json", "described", "parameter"]

#: What any request under `/v1` may be answered with.
_ALWAYS = (400, 401, 403, 500, 503)

_ERRORS = {
    400: "The request is wrong; `param` names the field.",
    401: "There is no such API key.",
    403: "The key may not do this; without API keys, no web page of another origin may.",
    404: "There is nothing of that name, or not for this caller.",
    409: "The request contradicts what is there.",
    413: "The body is too large.",
    415: "The body is not of a type that is read here.",
    429: "Too much at once; `retry-after` says when to try again.",
    500: "A fault of the gateway's.",
    501: "This version does not do that.",
    503: "A service that is needed is away.",
    504: "Time ran out.",
}

#: Written out, since the framework would give an error the media type of the route's own replies.
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}

_RUN_ID = {"description": "The run's id.", "schema": {"type": "string"}}

#: Of what a run has answered.
_OF_RUN = {
    RUN_HEADER: _RUN_ID,
    ARM_HEADER: {
        "description": "The experiment's arm that answered, where there is one.",
        "schema": {"type": "string"},
    },
}

#: Of what says that a run was taken on.
_OF_ACCEPTED = {
    RUN_HEADER: _RUN_ID | {"required": True},
    "location": {
        "description": "Where the run is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "preference-applied": {
        "description": "Where `Prefer: respond-async` was sent.",
        "schema": {"type": "string"},
    },
}

_RETRY_AFTER = {
    "retry-after": {
        "description": "Seconds to wait, where it pays to try again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def described(
    tag: str,
    reply: type[BaseModel] | None,
    *,
    body: type[BaseModel] | None = None,
    errors: Sequence[int] = (),
    events: type[BaseModel] | None = None,
    done: bool = False,
    status: int = 200,
    runs: bool = False,
    accepts: bool = False,
    parameters: Sequence[Json] = (),
    example: Json | None = None,
) -> Any:
    """Arguments of a route's decorator.

    Args:
        reply: The form of the reply; None where it has no body, or comes as events only.
        body: The form of a JSON body.
        errors: Statuses besides those that every route has.
        events: The form of each server-sent event's data, where the reply may come so.
        done: A stream that is whole ends in `[DONE]`, as OpenAI's do.
        runs: The reply is about one run, and its headers name it.
        accepts: It may also be answered that a run was taken on, and goes on in the background.
        parameters: What the URL and the headers may hold, as OpenAPI writes it.
        example: A body.
    """
    of_body = (413, 415) if body is not None else ()
    responses: dict[int | str, Json] = {status: _success(reply, events, done=done)}
    for each in sorted({*_ALWAYS, *of_body, *errors}):
        responses[each] = {"description": _ERRORS[each], "content": ERROR}
        if each in (429, 503):
            responses[each]["headers"] = dict(_RETRY_AFTER)
    if runs:
        responses[status]["headers"] = dict(_OF_RUN)
    if accepts:
        goes_on = "The run was taken on, and goes on."
        responses[202] = {"description": goes_on, "model": Accepted, "headers": dict(_OF_ACCEPTED)}
    extra: Json = {"parameters": [*WHO, *parameters]}
    if body is not None:
        content: Json = {"schema": body.model_json_schema(by_alias=False)}
        if example is not None:
            content["example"] = example
        extra["requestBody"] = {"required": True, "content": {"application/json": content}}
    return {
        "tags": [tag],
        "response_model": None,
        "status_code": status,
        "responses": responses,
        "openapi_extra": extra,
    }


def _success(reply: type[BaseModel] | None, events: type[BaseModel] | None, *, done: bool) -> Json:
    described: Json = {"description": "Done." if reply is None and events is None else "The reply."}
    if reply is not None:
        described["model"] = reply
    if events is not None:
        described["content"] = {"text/event-stream": {"schema": _event(events, done=done)}}
    return described


def _event(form: type[BaseModel], *, done: bool) -> Json:
    """A server-sent event with JSON as its data; an error is the last one where the rest cannot come."""
    forms = [{"$ref": f"#/$defs/{form.__name__}"}, {"$ref": "#/components/schemas/Error"}]
    data: Json = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": forms},
    }
    if done:
        data = {"anyOf": [{"const": "[DONE]"}, data]}
    schema = form.model_json_schema()
    return {
        "type": "object",
        "properties": {"data": data},
        "$defs": {**schema.pop("$defs", {}), form.__name__: schema},
    }
