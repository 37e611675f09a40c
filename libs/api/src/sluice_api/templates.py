"""Templates without logic: text with placeholders such as `{passages}`. What is put in their places is never read as a
template. Pure.

Only a name in braces is a placeholder, so JSON may stand in a template as it is; `{{name}}` is the text `{name}`.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACE = re.compile(rf"\{{\{{\s*(?P<literal>{_NAME})\s*\}}\}}|\{{\s*(?P<name>{_NAME})\s*\}}")
_LOGIC = re.compile(r"\{%|\{#|\{\{")
_BREAK = re.compile(r"\n[^\S\n]*\n\s*")

#: Text, or the name of a placeholder.
_Part = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that has been read."""

    paragraphs: tuple[tuple[_Part, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders, in order, as often as they stand there."""
        return tuple(part for paragraph in self.paragraphs for part, is_name in paragraph if is_name)

    @property
    def literals(self) -> str:
        """The template's own text."""
        own = ("".join(part for part, is_name in each if not is_name).strip() for each in self.paragraphs)
        return "\n\n".join(filter(None, own))

    def filled(self, values: Mapping[str, str]) -> str:
        """The text. A paragraph is left out where all of its placeholders are empty."""
        return "\n\n".join(self._paragraphs(values))

    def _paragraphs(self, values: Mapping[str, str]) -> Iterator[str]:
        for paragraph in self.paragraphs:
            named = [values[part] for part, is_name in paragraph if is_name]
            if any(named) or not named:
                yield "".join(values[part] if is_name else part for part, is_name in paragraph)


def parse(text: str, known: Sequence[str], once: str = "") -> Template:
    """Reads a template.

    Args:
        known: The placeholders that there are.
        once: The one that must be there, and only once.

    Raises:
        ValueError: what is wrong, and what to write instead.
    """
    paragraphs = tuple(
        tuple(_parts(paragraph, known)) for paragraph in _BREAK.split(text.strip()) if paragraph.strip()
    )
    template = Template(paragraphs)
    if once and template.names.count(once) != 1:
        times = template.names.count(once)
        raise ValueError(f"{{{once}}} must stand in the template once, not {times} times")
    return template


def _parts(paragraph: str, known: Sequence[str]) -> Iterator[_Part]:
    place = 0
    for match in _PLACE.finditer(paragraph):
        if between := paragraph[place : match.start()]:
            yield _literal(between, known), False
        place = match.end()
        if match["literal"]:
            yield f"{{{match['literal']}}}", False
            continue
        if match["name"] not in known:
            raise ValueError(_unknown(match["name"], known))
        yield match["name"], True
    if rest := paragraph[place:]:
        yield _literal(rest, known), False


def _literal(text: str, known: Sequence[str]) -> str:
    """The text, if nothing in it looks like a placeholder that was meant otherwise."""
    if logic := _LOGIC.search(text):
        raise ValueError(
            f"{logic[0]!r} has no meaning: a template has placeholders such as {{{known[0]}}} and no logic; "
            "a brace that is meant as such stands alone"
        )
    for name in known:
        if broken := re.search(rf"\{{\s*{name}\b.{{0,12}}", text):
            raise ValueError(f"{broken[0]!r} is no placeholder: nothing but }} may stand after {{{name}")
    return text


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, 1)
    hint = f", did you mean {{{close[0]}}}?" if close else ""
    there = ", ".join(f"{{{each}}}" for each in known)
    return f"{{{name}}} is no placeholder{hint or ':'} there is: {there}; the text itself is {{{{{name}}}}}"
