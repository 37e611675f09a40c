"""How often the detector of personal data is wrong on texts that hold none to speak of, and what it costs.

    .venv/bin/python bench/pii_quality.py FOLDER

FOLDER is the one of `guardrail_quality.py`: every harmless set there, and the abstracts of pubmedqa. What is found is
counted by entity at the default threshold; `--show` prints it, to be judged by eye. No rule was written from notinject
or xstest.
"""

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from guardrail_quality import HARMLESS

from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.model import Finding
from sluice_guardrail.domain.texts import Text


def _abstracts(folder: Path) -> Iterator[str]:
    for row in json.loads((folder / "ori_pqal.json").read_text(encoding="utf-8")).values():
        yield " ".join((*row["CONTEXTS"], row["LONG_ANSWER"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="print what is found, with its surroundings")
    arguments = parser.parse_args()
    detector = PiiDetector(PiiSpec())
    times: list[float] = []
    for name, read in {**HARMLESS, "pubmedqa": _abstracts}.items():
        if not (arguments.folder / name).is_dir():
            continue
        found: Counter[str] = Counter()
        texts = [text for text in read(arguments.folder / name) if text]
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
            f"{name:14} {hit:5} of {len(texts):5}  {hit / len(texts):6.2%}  {dict(found.most_common()) or ''}"
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
