"""How much the gates find and how often they are wrong, on labelled public sets; and what screening costs.

    .venv/bin/python bench/guardrail_quality.py FOLDER

FOLDER holds one folder for each set, as its authors publish it: gptfuzz (GPTFuzzer.csv), self_reminder
(jailbreak_prompts.csv), neuralchemy (neuralchemy_normalized.csv), notinject (NotInject_*.json), xstest
(xstest_prompts.csv), oasst_prompts (oa_questions.jsonl), mtbench (question.jsonl), pubmedqa (ori_pqal.json). Sets
that are not there are left out. No rule was written from notinject or xstest.
"""

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.model import Answer, Channel, Decision, Segment
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener

csv.field_size_limit(1 << 24)

Texts = Iterator[str]


def _column(path: Path, column: str, keep: Callable[[dict[str, str]], bool] = lambda _: True) -> Texts:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from (row[column] for row in csv.DictReader(file) if keep(row))


def _json_lines(path: Path, field: str) -> Texts:
    for line in path.read_text(encoding="utf-8").splitlines():
        value = json.loads(line)[field]
        yield value[0] if isinstance(value, list) else value


def _labelled(folder: Path, label: str) -> Texts:
    return _column(folder / "neuralchemy_normalized.csv", "text", lambda row: row["label"] == label)


def _notinject(folder: Path) -> Texts:
    for file in sorted(folder.glob("NotInject_*.json")):
        yield from (row["prompt"] for row in json.loads(file.read_text(encoding="utf-8")))


ATTACKS: dict[str, Callable[[Path], Texts]] = {
    "gptfuzz": lambda folder: _column(folder / "GPTFuzzer.csv", "text"),
    "self_reminder": lambda folder: _column(folder / "jailbreak_prompts.csv", "prompt"),
    "neuralchemy": lambda folder: _labelled(folder, "1"),
}
HARMLESS: dict[str, Callable[[Path], Texts]] = {
    "neuralchemy": lambda folder: _labelled(folder, "0"),
    "notinject": _notinject,
    "xstest": lambda folder: _column(
        folder / "xstest_prompts.csv", "prompt", lambda row: row["label"] == "safe"
    ),
    "oasst_prompts": lambda folder: _json_lines(folder / "oa_questions.jsonl", "input"),
    "mtbench": lambda folder: _json_lines(folder / "question.jsonl", "turns"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=2000, help="texts of a set, evenly spaced")
    arguments = parser.parse_args()
    screener = Screener(Policy("bench", "0", GuardrailPolicySpec(), ()), Parts(all_rules()))
    times: list[float] = []
    for title, sets in (("attacks that are blocked", ATTACKS), ("harmless texts that are blocked", HARMLESS)):
        print(title)
        for name, read in sets.items():
            if (arguments.folder / name).is_dir():
                texts = _spaced([text for text in read(arguments.folder / name) if text], arguments.most)
                blocked = sum(_blocked(screener, text, times) for text in texts)
                print(f"  {name:14} {blocked:5} of {len(texts):5}  {blocked / len(texts):6.1%}")
    _print_times("input gate", times)
    if (arguments.folder / "pubmedqa").is_dir():
        _groundedness(screener, arguments.folder / "pubmedqa" / "ori_pqal.json")


def _blocked(screener: Screener, text: str, times: list[float]) -> bool:
    started = time.perf_counter()
    verdict = screener.screen_input([Segment(Channel.USER, "user", text)])
    times.append(time.perf_counter() - started)
    return verdict.decision is Decision.BLOCK


def _groundedness(screener: Screener, path: Path) -> None:
    """An abstract's conclusion against its own abstract, and against the abstract of another study."""
    rows = [
        (" ".join(row["CONTEXTS"]), row["QUESTION"], row["LONG_ANSWER"])
        for row in json.loads(path.read_text(encoding="utf-8")).values()
    ]
    times: list[float] = []
    found = {"its own evidence": 0, "another's evidence": 0}
    for index, (context, question, conclusion) in enumerate(rows):
        other = rows[(index + len(rows) // 2) % len(rows)][0]
        for name, passage in (("its own evidence", context), ("another's evidence", other)):
            started = time.perf_counter()
            verdict = screener.screen_output(Answer(question, f"{conclusion} [1]", (passage,)))
            times.append(time.perf_counter() - started)
            found[name] += any(
                judged.detector == "groundedness" for judged in verdict.findings if judged.decision
            )
    print("conclusions called ungrounded (pubmedqa)")
    for name, count in found.items():
        print(f"  {name:20} {count:5} of {len(rows):5}  {count / len(rows):6.1%}")
    _print_times("output gate", times)


def _spaced(texts: list[str], most: int) -> list[str]:
    step = max(1.0, len(texts) / most)
    return [texts[int(index * step)] for index in range(min(most, len(texts)))]


def _print_times(name: str, times: list[float]) -> None:
    cuts = statistics.quantiles(times, n=100)
    print(f"{name}, ms: p50 {cuts[49] * 1e3:.2f}  p95 {cuts[94] * 1e3:.2f}  p99 {cuts[98] * 1e3:.2f}")


if __name__ == "__main__":
    main()
