"""What a guard policy makes of a text, as a person reads it. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

Json = dict[str, Any]

_STYLES = {
    "allow": "green",
    "flag": "yellow",
    "redact": "yellow",
    "block": "red",
    "failed": "red",
    "partial": "yellow",
}

#: What looks through the passages that an output was made from, and not through the output.
_OF_PASSAGES = frozenset({"document-injection", "prompt-injection-classifier"})

#: Characters of a text that are shown before and after a finding, and of the finding itself.
_AROUND, _WITHIN = 32, 80


def decision_lines(reply: Json) -> list[str]:
    """The decision in one line, then the reason in words where there is one."""
    reason = f"  {escape(reply['reason'])}" if reply["reason"] else ""
    shadow = f"  (shadow; would {_word(reply['would'])})" if reply["mode"] == "shadow" else ""
    partial = "  [yellow]not all of it was scanned[/]" if reply["partial"] else ""
    line = (
        f"[bold]{_word(reply['action'])}[/]{shadow}{reason}{partial}  score {reply['score']:.2f}"
        f"  [dim]policy {escape(reply['policy'])}, version {escape(reply['policy_version'][:12])},"
        f" {reply['milliseconds']:.1f} ms[/]"
    )
    return [line, escape(reply["message"])] if reply["message"] else [line]


def detectors_table(detectors: Sequence[Json]) -> Table:
    """What each detector has seen and decided."""
    table = Table("detector", "version", "action", "score / from", "state", "ms")
    table.columns[0].overflow = table.columns[1].overflow = "fold"
    for column in (3, 5):
        table.columns[column].justify = "right"
    for report in detectors:
        table.add_row(
            escape(report["name"]),
            escape(report["version"]),
            _word(report["action"]),
            f"{report['score']:.2f} / {report['threshold']:.2f}",
            f"{_word(report['state'])}{escape(': ' + report['detail']) if report['detail'] else ''}",
            f"{report['milliseconds']:.2f}",
        )
    return table


def span_lines(detectors: Sequence[Json], text: str, passages: Sequence[str]) -> Iterator[str]:
    """Each finding with the text around it.

    Args:
        text: What was screened.
        passages: What an output was made from; findings in them name their number.
    """
    for report in detectors:
        for span in report["spans"]:
            where, source = _source(report["name"], span["segment"], text, passages)
            yield (
                f"{escape(report['name'])} · {escape(span['category'])}  [dim]score {span['score']:.2f},"
                f" view {escape(span['view'])},{where} characters {span['start']}–{span['end']}[/]"
            )
            if source is not None and 0 <= span["start"] < span["end"] <= len(source):
                yield f"    {excerpt(source, span['start'], span['end'])}"


def excerpt(text: str, start: int, end: int) -> str:
    """A range of a text within what stands around it; `»«` mark it without colours too. Console markup."""
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    found = text[start:end]
    if len(found) > _WITHIN:
        found = f"{found[: _WITHIN // 2]}…{found[-_WITHIN // 2 :]}"
    opening = "…" if start > _AROUND else ""
    closing = "…" if end + _AROUND < len(text) else ""
    return f"{opening}{escape(visible(before))}[bold red]»{escape(visible(found))}«[/]{escape(visible(after))}{closing}"


def visible(text: str) -> str:
    """A text on one line, with names in the place of characters that are not seen."""
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    if character in "\n\r\t":
        return " "
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}
    return f"<U+{ord(character):04X}>" if hidden else character


def _source(detector: str, segment: int, text: str, passages: Sequence[str]) -> tuple[str, str | None]:
    if detector in _OF_PASSAGES and passages:
        return f" passage {segment + 1},", passages[segment] if segment < len(passages) else None
    return "", text if segment == 0 else None


def _word(word: str) -> str:
    return f"[{_STYLES.get(word, 'default')}]{escape(word)}[/]"
