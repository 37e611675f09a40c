"""What the values of an enum mean, by the text that stands below each in its source."""

import ast
import inspect
import textwrap
from enum import Enum
from functools import cache


@cache
def meanings(enum: type[Enum]) -> dict[str, str]:
    """By value; values without a text are absent. Empty where the source cannot be read."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(enum))).body
    except (OSError, TypeError):
        return {}
    found: dict[str, str] = {}
    before: ast.stmt | None = None
    for statement in definition.body if isinstance(definition, ast.ClassDef) else ():
        text = _text(statement)
        if text and isinstance(before, ast.Assign) and isinstance(before.targets[0], ast.Name):
            found[str(enum[before.targets[0].id].value)] = " ".join(text.split())
        before = statement
    return found


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""
