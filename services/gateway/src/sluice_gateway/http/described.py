"""How routes tell OpenAPI what they take and give: one call in a route's decorator."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]

#: What any request under `/v1` may be answered with.
_ALWAYS = (400, 401, 403, 500, 503)

_ERRORS = {
    400: "The request is wrong; `param` names the field.",
    401: "There is no such API key.",
    403: "The key may not do this.",
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

_TENANT = {
    "name": "X-Sluice-Tenant",
    "in": "header",
    "description": "The tenant, where no API keys are in force; with a key, that key's.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
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
        parameters: What the URL and the headers may hold, as OpenAPI writes it.
        example: A body.
    """
    of_body = (413, 415) if body is not None else ()
    responses: dict[int | str, Json] = {status: _success(reply, events, done=done)}
    for each in sorted({*_ALWAYS, *of_body, *errors}):
        responses[each] = {"description": _ERRORS[each], "content": ERROR}
    extra: Json = {"parameters": [_TENANT, *parameters]}
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


def parameter(name: str, description: str, *, where: str = "query", **schema: Any) -> Json:
    """A parameter that may be left out."""
    return {"name": name, "in": where, "description": description, "schema": schema}


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
