"""How well questions that lean on earlier turns are told from those that stand alone, and what that does for retrieval.

    .venv/bin/python bench/history.py [--retrieval] [--errors]

The first part compares the rules with the labels in tests/data/conversations.yaml. `--retrieval` starts everything,
ingests this project's documents and looks for the last questions of bench/follow_ups.yaml: alone, as the rules put
them, and with all turns before them. A hit is a first passage out of a file that answers. Both files are split in two
halves, conversation by conversation: the rules were tuned on the first, the second is held out.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sluice_gateway.domain.asking import asked
from sluice_gateway.domain.model import Message
from support.conversations import Turn, labelled
from support.running import PROJECT, Running, running

WAYS: dict[str, Callable[[Sequence[str]], str]] = {
    "the last question alone": lambda turns: turns[-1],
    "as the rules put it": lambda turns: asked([Message("user", turn) for turn in turns]).query,
    "with all turns before it": " ".join,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--retrieval", action="store_true")
    parser.add_argument("--errors", action="store_true", help="print what is wrong in the half tuned on")
    arguments = parser.parse_args()
    turns = labelled()
    for half, held_out in (("tuned on", False), ("held out", True)):
        _accuracy(half, [turn for turn in turns if turn.held_out is held_out], errors=arguments.errors)
    if arguments.retrieval:
        with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as up:
            _retrieval(up)


def _accuracy(half: str, turns: Sequence[Turn], *, errors: bool) -> None:
    right = [turn for turn in turns if asked(turn.messages).leans is turn.leans]
    print(f"{half}: {len(right)} of {len(turns)} turns, {len(right) / len(turns):.1%}")
    of, good = Counter(turn.language for turn in turns), Counter(turn.language for turn in right)
    print("  " + ", ".join(f"{language} {good[language]}/{of[language]}" for language in of))
    for name, leans in (("leaning, taken as such", True), ("standing alone, taken as such", False)):
        wanted, found = (sum(turn.leans is leans for turn in some) for some in (turns, right))
        print(f"  {name}: {found}/{wanted}")
    if errors and not turns[0].held_out:
        for turn in turns:
            if turn not in right:
                print(f"  {turn.language} {'leans' if turn.leans else 'alone'}: {turn.messages[-1].content}")


def _retrieval(up: Running) -> None:
    docs = PROJECT / "docs"
    files = [
        PROJECT / "README.md",
        *sorted(docs.glob("*.md")),
        *sorted(docs.glob("reference/*.md")),
        *sorted(docs.glob("adr/0*.md")),
    ]
    up.ingest([{"id": path.name, "text": path.read_text(), "media_type": "text/markdown"} for path in files])
    conversations = yaml.safe_load((PROJECT / "bench" / "follow_ups.yaml").read_text())
    print("right file first / among the first five")
    with up.http() as http:
        for way, query in WAYS.items():
            counts: Counter[tuple[int, str]] = Counter()
            for index, conversation in enumerate(conversations):
                body = {"query": query(conversation["turns"]), "top_k": 5, "rerank": True}
                hits = http.post("/v1/search", json=body).raise_for_status().json()["hits"]
                found = [hit["document_id"] in conversation["files"] for hit in hits]
                counts[index % 2, "first"] += found[0]
                counts[index % 2, "any"] += any(found)
            size = len(conversations) // 2
            print(
                f"  {way:26}"
                + "".join(
                    f"  {half} {counts[side, 'first']}/{size} {counts[side, 'any']}/{size}"
                    for side, half in ((0, "tuned on"), (1, "held out"))
                )
            )


if __name__ == "__main__":
    main()
