"""CPU time that views and rules of the input gate cost, by length of ordinary prose and of texts made to be slow.

    .venv/bin/python bench/guardrail_views.py [FILE]

FILE holds prose, each sample another stretch of it; without it the project's own documentation is taken.
"""

import argparse
import base64
import random
import re
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from sluice_guardrail.domain.detectors.prompt_injection import PromptInjectionDetector
from sluice_guardrail.domain.rules.families import english_rules
from sluice_guardrail.domain.rules.languages import other_rules
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.texts import Text

LENGTHS = (200, 2_000, 16_000, 64_000, 200_000)
LONGEST = 5_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    arguments = parser.parse_args()
    detector = PromptInjectionDetector(all_rules())
    prose = _prose(arguments.file)
    print("prose, ms: characters, views p50, views and rules p50, p95")
    for length in LENGTHS:
        samples = max(5, min(200, 2_000_000 // length))
        starts = [(index * length) % max(1, len(prose) - length) for index in range(samples)]
        times = [_measured(detector, prose[start : start + length]) for start in starts]
        views, both = zip(*times, strict=True)
        p95 = sorted(both)[int(len(both) * 0.95)]
        print(f"  {length:7} {_ms(statistics.median(views))} {_ms(statistics.median(both))} {_ms(p95)}")
    print(f"hostile, ms: views and rules at 2,000 and 200,000 characters, at {LONGEST:,}")
    for name, make in hostile().items():
        times = [_measured(detector, make(length)[:length])[1] for length in (2_000, 200_000, LONGEST)]
        print(f"  {name:10} {' '.join(map(_ms, times))}")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


def hostile() -> dict[str, Callable[[int], str]]:
    """Texts that make the normaliser or the rules do most for each character."""
    chance = random.Random(0)
    rules = (*english_rules(), *other_rules())
    words = sorted({word for rule in rules for word in re.findall(r"[^\W\d_]{2,}", rule.expression)})

    def triggers(length: int) -> str:
        return " ".join(chance.choices(words, k=length // 3))

    return {
        "triggers": triggers,
        "base64": lambda length: base64.b64encode(triggers(length).encode()).decode(),
        "letters": lambda length: "i g n o r e  " * (length // 13 + 1),
        "entities": lambda length: "&#105;" * (length // 6 + 1),
        "tags": lambda length: "<b>" * (length // 3 + 1),
        "quotes": lambda length: "'+'" * (length // 3 + 1),
        "tables": lambda length: "|a|b|\n" * (length // 6 + 1),
        "rot13": lambda length: "vtaber cerivbhf " * (length // 16 + 1),
    }


def _prose(file: Path | None) -> str:
    files = [file] if file else sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    return "\n".join(each.read_text(encoding="utf-8") for each in files)


def _measured(detector: PromptInjectionDetector, text: str) -> tuple[float, float]:
    """CPU seconds for all views, and for views and rules."""
    subject = Text(text)
    started = time.process_time()
    for view in subject.views:
        view.text  # noqa: B018 - worked out when asked for
    viewed = time.process_time()
    detector.detect(subject)
    return viewed - started, time.process_time() - started


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:9.2f}"


if __name__ == "__main__":
    main()
