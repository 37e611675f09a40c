"""How often the detector of personal data is wrong on texts that hold none to speak of, and what it costs.

    .venv/bin/python bench/pii_quality.py FOLDER

FOLDER is the one of `eval_guardrail.py`: every harmless set there. What is found is counted by entity at the default
threshold; `--show` prints it, to be judged by eye. No rule was written from notinject
or xstest.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from itertools import groupby
from pathlib import Path

from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.model import Finding
from sluice_guardrail.domain.texts import Text

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from guardrail_training.reading import read_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="print what is found, with its surroundings")
    arguments = parser.parse_args()
    detector = PiiDetector(PiiSpec())
    times: list[float] = []
    harmless = [example for example in read_all(arguments.folder) if not example.attack]
    for name, examples in groupby(harmless, lambda example: example.source):
        found: Counter[str] = Counter()
        texts = [example.text for example in examples]
        hit = 0
        for text in texts:
            subject = Text(text)
            _ = subject.views  # the rules have worked them out before
            started = time.process_time()
            findings = detector.detect(subject).findings
            times.append(time.process_time() - started)
            findings = [finding for finding in findings if finding.score >= PiiSpec().threshold]
            hit += bool(findings)
            found.update(str(finding.category) for finding in findings)
            if arguments.show:
                _show(text, findings)
        print(
            f"{name:20} {hit:5} of {len(texts):5}  {hit / len(texts):6.2%}  {dict(found.most_common()) or ''}"
        )
    cuts = statistics.quantiles(times, n=100)
    print(f"added at a gate, ms of one core: p50 {cuts[49] * 1e3:.3f}  p99 {cuts[98] * 1e3:.3f}")


def _show(text: str, findings: list[Finding]) -> None:
    for finding in findings:
        start, end = finding.span.start, finding.span.end
        around = f"{text[max(0, start - 40) : start]}⟦{text[start:end]}⟧{text[end : end + 20]}"
        print(f"    {finding.category} {finding.score:.2f}  {' '.join(around.split())}")


if __name__ == "__main__":
    main()
