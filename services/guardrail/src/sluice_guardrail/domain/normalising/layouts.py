"""Words that were taken apart by where their parts stand: markup, line ends, strings, table cells, direction."""

import re
from collections.abc import Iterator

import re2  # type: ignore[import-untyped]

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.decoder import Budget
from sluice_guardrail.domain.normalising.view import Replacement

#: Tags and comments, and emphasis within a word.
_MARKUP = re.compile(r"<!--[^<>]{0,400}-->|</?[A-Za-z][^<>]{0,400}>|(?<=[^\W_])(?:[*`]{1,3}|__|~~)(?=[^\W_])")
_INLINE = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|big|code|em|font|i|ins|kbd|mark|s|small|span|strong|sub|sup|tt|u|wbr)\b|<!--",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"(?<=[^\W\d_])-\r?\n[ \t>*]{0,8}(?=[^\W\d_])")
_STRINGS = re2.compile(r"(?:\"[ \t\n]{0,8}[+.&|~]{0,2}[ \t\n]{0,8}\"|'[ \t\n]{0,8}[+.&|~]{0,2}[ \t\n]{0,8}')")
_NAME = "[A-Za-z_][A-Za-z0-9_]{0,23}"
_ASSIGNED = re2.compile(
    rf"({_NAME})[\"']?\s{{0,3}}(?::=|=|:|\bis )\s{{0,3}}(?:\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`)"
)
_SUM = re2.compile(rf"\b{_NAME}(?:(?:\s{{0,3}}[+&|~]{{1,2}}\s{{0,3}}| \. |, ?| (?:and|then) ){_NAME}\b)+")
_NAMES = re.compile(r"[A-Za-z_]\w*")
_TABLE = re2.compile(r"(?:^|\n)(?:[ \t]*\|[^\n]*\n){2,}[ \t]*\|[^\n]*")
_MOST_COLUMNS = 32
#: From here on everything is shown from right to left, until this ends or the line does.
_OVERRIDDEN = re.compile("\u202e([^\u202c\n]+)")


def without_markup(text: str, _: Budget) -> Iterator[Replacement]:
    """Tags and emphasis taken out of words; other tags part them."""
    for match in _MARKUP.finditer(text):
        between = match[0][0] == "<" and not _INLINE.match(match[0])
        yield Replacement(Span(*match.span()), "\n" if between else "")


def line_ends(text: str, _: Budget) -> Iterator[Replacement]:
    """Words that go on in the next line."""
    for match in _LINE_END.finditer(text):
        yield Replacement(Span(*match.span()), "")


def as_shown(text: str, _: Budget) -> Iterator[Replacement]:
    """Stretches that are shown backwards."""
    for match in _OVERRIDDEN.finditer(text):
        yield Replacement(Span(*match.span(1)), match[1][::-1], mirrored=True)


def strings(text: str, _: Budget) -> Iterator[Replacement]:
    """Strings that are joined, side by side or with a sign."""
    for match in _STRINGS.finditer(text):
        yield Replacement(Span(*match.span()), "")


def variables(text: str, budget: Budget) -> Iterator[Replacement]:
    """Sums of variables, as the strings that were assigned to them."""
    assigned: dict[str, str] = {}
    for match in _ASSIGNED.finditer(text):
        assigned.setdefault(match[1], match[2] or match[3] or match[4])
    if len(assigned) < 2:
        return
    for match in _SUM.finditer(text):
        names = _NAMES.findall(match[0])
        if sum(name in assigned for name in names) < 2:
            continue
        values = [assigned.get(name, " ") for name in names]
        if budget.take(sum(map(len, values))):
            yield Replacement(Span(*match.span()), "".join(values))


def columns(text: str, _: Budget) -> Iterator[Replacement]:
    """Tables, read column by column."""
    for match in _TABLE.finditer(text):
        lines = match[0].strip().split("\n")
        rows = [
            [cell.strip() for cell in line.strip().strip("|").split("|", _MOST_COLUMNS)] for line in lines
        ]
        width = max(map(len, rows))
        read = [" ".join(row[column] for row in rows if column < len(row)) for column in range(width)]
        yield Replacement(Span(*match.span()), "\n".join(["", *read, ""]))
