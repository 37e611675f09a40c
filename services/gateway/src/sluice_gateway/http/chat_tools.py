"""Tools and the form of the answer in a chat request."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from sluice_gateway.domain.tools import NO_TOOLS, PROSE, AnswerForm, AnswerFormat, Tool, ToolChoice, Tools
from sluice_gateway.http.bodies import RequestModel
from sluice_servicekit.errors import InvalidArgument

_WORDS = {"none": ToolChoice.NONE, "auto": ToolChoice.AUTO, "required": ToolChoice.REQUIRED}

Choice = str | dict[str, Any] | None


class FunctionDefinition(RequestModel):
    """A function that the model may call."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        """The function."""
        parameters = "" if self.parameters is None else json.dumps(self.parameters, ensure_ascii=False)
        return Tool(self.name, self.description or "", parameters, self.strict)


class ChatTool(RequestModel):
    """A tool; of its kinds only functions can be called here."""

    type: str = "function"
    function: FunctionDefinition | None = None


class ResponseFormat(RequestModel):
    """The answer's form."""

    type: str
    json_schema: dict[str, Any] | None = None

    def answer_format(self) -> AnswerFormat:
        """The form.

        Raises:
            InvalidArgument: it is none of OpenAI's, or its schema is missing.
        """
        if self.type not in list(AnswerForm):
            message = f"{self.type!r} is not a form of answers; there is: {', '.join(AnswerForm)}"
            raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field="response_format.type")
        form = AnswerForm(self.type)
        if form is not AnswerForm.JSON_SCHEMA:
            return AnswerFormat(form)
        wanted = self.json_schema or {}
        name, schema, strict = wanted.get("name"), wanted.get("schema"), wanted.get("strict")
        field = "response_format.json_schema"
        if not isinstance(name, str) or not name:
            raise InvalidArgument("the schema needs a name", field=f"{field}.name")
        if not isinstance(schema, dict):
            raise InvalidArgument("the schema must be an object", field=f"{field}.schema")
        if strict is not None and not isinstance(strict, bool):
            raise InvalidArgument("strict must be true or false", field=f"{field}.strict")
        return AnswerFormat(form, name, json.dumps(schema, ensure_ascii=False), strict)


def answer_format(wanted: ResponseFormat | None) -> AnswerFormat:
    """The form that a request asks for."""
    return PROSE if wanted is None else wanted.answer_format()


def tools(offered: Sequence[ChatTool] | None, choice: Choice, *, parallel: bool | None) -> Tools:
    """What the model may call.

    Raises:
        InvalidArgument: a tool is no function, or the choice names what is not there.
    """
    functions = []
    for index, each in enumerate(offered or ()):
        if each.type == "function" and each.function is None:
            raise InvalidArgument("the function is missing", field=f"tools[{index}].function")
        if each.function is None:
            message = f"{each.type} tools cannot be called here; send functions"
            raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field=f"tools[{index}].type")
        functions.append(each.function.tool())
    if not functions:
        if choice is not None:
            raise InvalidArgument("tool_choice needs tools", field="tool_choice")
        return NO_TOOLS
    return _chosen(Tools(tuple(functions), parallel=parallel), choice, "tool_choice")


def functions(offered: Sequence[FunctionDefinition], choice: Choice) -> Tools:
    """The same in the form that OpenAI had before; one call at a time."""
    if isinstance(choice, dict):
        choice = {"type": "function", "function": choice}
    available = Tools(tuple(each.tool() for each in offered), parallel=False)
    return _chosen(available, choice, "function_call")


def _chosen(available: Tools, choice: Choice, field: str) -> Tools:
    if choice is None:
        return available
    if isinstance(choice, str):
        if choice not in _WORDS:
            raise InvalidArgument(f"{field} must be none, auto, required or name a function", field=field)
        return Tools(available.functions, _WORDS[choice], parallel=available.parallel)
    if choice.get("type") == "function":
        name = _known(choice, available, field)
        return Tools(available.functions, ToolChoice.NAMED, name, available.parallel)
    if choice.get("type") == "allowed_tools":
        return _allowed(available, choice.get("allowed_tools"), f"{field}.allowed_tools")
    message = f"tool_choice of the type {choice.get('type')!r} cannot be asked for here"
    raise InvalidArgument(message, reason="UNSUPPORTED_VALUE", field=f"{field}.type")


def _allowed(available: Tools, allowed: object, field: str) -> Tools:
    """Those that may be called: to the model it is as if there were no others."""
    mode = allowed.get("mode") if isinstance(allowed, dict) else None
    named = allowed.get("tools") if isinstance(allowed, dict) else None
    if mode not in ("auto", "required") or not isinstance(named, list) or not named:
        raise InvalidArgument("allowed_tools needs a mode, auto or required, and tools", field=field)
    names = {_known(each, available, f"{field}.tools") for each in named}
    functions = tuple(tool for tool in available.functions if tool.name in names)
    return Tools(functions, _WORDS[mode], parallel=available.parallel)


def _known(choice: object, available: Tools, field: str) -> str:
    """The name that a choice gives, which must be a tool's."""
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidArgument("a function must be named", field=f"{field}.function.name")
    if name not in {tool.name for tool in available.functions}:
        raise InvalidArgument(f"{name!r} is none of the tools", field=f"{field}.function.name")
    return name
