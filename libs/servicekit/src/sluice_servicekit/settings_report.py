"""What a process's settings are and where each comes from: what `python -m sluice_<service> --settings` prints."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings

from sluice_servicekit.settings import OF_ONE_PROCESS

REDACTED = "redacted (set)"

#: Variables that hold a secret itself. Those that name a file or folder of secrets hold none.
_SECRET = re.compile(r"(KEY|KEYS|TOKEN|SECRET|SECRETS|PASSWORD)$")


@dataclass(frozen=True)
class Setting:
    """One setting of a process, as JSON can hold it."""

    name: str
    variable: str
    """The environment variable that sets it."""
    value: Any
    """In force; the text of the variable where it is refused; `REDACTED` where it is a secret."""
    default: Any
    """None where it is another one in each process."""
    source: Literal["default", "environment"]
    problem: str
    """Why the value is refused; empty where it is not."""
    description: str


def is_secret(variable: str) -> bool:
    """True where an environment variable's name says that its value is a secret."""
    return _SECRET.search(variable.upper()) is not None


def settings_of(settings_class: type[BaseSettings], environment: Mapping[str, str]) -> list[Setting]:
    """Every setting of a class, read as the process itself reads it.

    Args:
        settings_class: Reads this process's own environment.
        environment: The same environment, to tell what was set.
    """
    values, problems = _read(settings_class)
    prefix = settings_class.model_config.get("env_prefix", "")
    given = {name.upper(): text for name, text in environment.items()}
    return [
        _setting(name, field, f"{prefix}{name}".upper(), given, values, problems.get(name, ""))
        for name, field in settings_class.model_fields.items()
    ]


def as_json(settings: list[Setting]) -> str:
    """One JSON array."""
    return json.dumps([asdict(setting) for setting in settings])


def _read(settings_class: type[BaseSettings]) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        return settings_class().model_dump(mode="json"), {}
    except ValidationError as error:
        # without the input, which may be a secret
        found = error.errors(include_url=False, include_input=False)
        return {}, {str(detail["loc"][0]).lower(): detail["msg"] for detail in found}


def _setting(
    name: str,
    field: FieldInfo,
    variable: str,
    given: Mapping[str, str],
    values: Mapping[str, Any],
    problem: str,
) -> Setting:
    own = isinstance(field.json_schema_extra, dict) and OF_ONE_PROCESS in field.json_schema_extra
    default = None if own else to_jsonable_python(field.get_default(call_default_factory=True))
    if variable not in given:
        value = default
    elif is_secret(variable) or "Secret" in repr(field.annotation):  # SecretStr and its like
        value = REDACTED
    else:
        value = values.get(name, given[variable])
    source: Literal["default", "environment"] = "environment" if variable in given else "default"
    return Setting(name, variable, value, default, source, problem, field.description or "")
