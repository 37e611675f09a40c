"""Builds what topics are measured against: the vectors of prompts about everything.

    .venv/bin/python tools/build_topic_background.py oa_questions.jsonl

The file holds prompts of OpenAssistant (OASST1, Apache-2.0), a JSON object with `input` on each line. Half of them,
by their hash, are kept; the other half is left for measuring. Only vectors are written.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from sluice_guardrail.domain.embedding import MiniLmEmbedder
from sluice_guardrail.domain.topics.background import encoded

TARGET = Path("services/guardrail/src/sluice_guardrail/assets/topic_background.npy")


def kept(text: str) -> bool:
    """True for the half that is written."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0


def main() -> None:
    """Writes the vectors."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    prompts = sorted({prompt for line in lines if kept(prompt := json.loads(line)["input"])})
    np.save(TARGET, encoded(MiniLmEmbedder().texts(prompts)))
    print(f"{len(prompts)} vectors in {TARGET}")


if __name__ == "__main__":
    main()
