"""What the rules read out of questions.

Compares domain/self_query.py with the labels in tests/data/self_query.yaml, condition by condition. The rules were made
from one half of the questions; the other, chosen by hash, is held out.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.self_queries import Asked, labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--errors", action="store_true", help="print what is wrong in the half tuned on")
    arguments = parser.parse_args()
    asked = labelled()
    for half, held_out in (("tuned on", False), ("held out", True)):
        some = [each for each in asked if each.held_out is held_out]
        _report(half, some)
        if arguments.errors and not held_out:
            for each in some:
                if each.read() != each.expected:
                    print(f"  {each.knowledge_base}: {each.text}")
                    print(f"    wanted {[*each.expected]}\n    read {[*each.read()]}")


def _report(half: str, asked: Sequence[Asked]) -> None:
    read = sum(len(each.read()) for each in asked)
    wanted = sum(len(each.expected) for each in asked)
    right = sum(len(each.read() & each.expected) for each in asked)
    exact = sum(each.read() == each.expected for each in asked)
    plain = [each for each in asked if not each.expected]
    print(f"{half}: {len(asked)} questions, {exact} exactly right")
    print(f"  precision {right / read:.1%} of {read} conditions, recall {right / wanted:.1%} of {wanted}")
    print(
        f"  questions that ask for no filter: {sum(not each.read() for each in plain)} of {len(plain)} left alone"
    )


if __name__ == "__main__":
    main()
