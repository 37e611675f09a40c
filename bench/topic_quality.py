"""How well topics by examples tell subjects apart, on three collections of questions.

    .venv/bin/python bench/topic_quality.py FOLDER

FOLDER holds `retrieval/{scifact,cranfield,cisi}/queries.jsonl` (a subject each: medicine, aerodynamics, library
science) and `guardrails/oasst_prompts/oa_questions.jsonl` (everything). Examples come from one half of a collection,
by hash; the other half is measured, and of OASST the half that the background was not made of.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

from sluice_guardrail.domain.embedding import MiniLmEmbedder
from sluice_guardrail.domain.topics.subject import Subject

_SUBJECTS = ("scifact", "cranfield", "cisi")


def _half(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0] % 2


def main() -> None:
    """Prints the table."""
    folder = Path(sys.argv[1])
    embedder = MiniLmEmbedder()
    prompts = [
        json.loads(line)["input"] for line in _lines(folder / "guardrails/oasst_prompts/oa_questions.jsonl")
    ]
    others = embedder.texts([prompt for prompt in prompts if _half(prompt) == 1])
    chance = random.Random(1)
    print(
        "| subject | examples | about it, 0.5 | everything, 0.5 | everything, 0.3 | wrongly off | rightly off |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in _SUBJECTS:
        queries = [json.loads(line)["text"] for line in _lines(folder / "retrieval" / name / "queries.jsonl")]
        known = [query for query in queries if _half(query) == 0]
        measured = embedder.texts([query for query in queries if _half(query) == 1][:300])
        for count in (4, 8, 16):
            subject = Subject(name, embedder.texts(chance.sample(known, count)))
            near, far = subject.nearness(measured), subject.nearness(others)
            off, rightly = Subject.distance([subject], measured), Subject.distance([subject], others)
            shares = (near >= 0.5, far >= 0.5, far >= 0.3, off >= 0.5, rightly >= 0.5)
            print(f"| {name} | {count} | " + " | ".join(f"{share.mean():.1%}" for share in shares) + " |")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
