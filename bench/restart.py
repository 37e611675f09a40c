"""How long each process is away after kill -9: from the signal until it answers again.

.venv/bin/python bench/restart.py
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.running import Running, running, until

PROCESSES = ("guardrail", "retriever", "reranker", "inference", "gateway")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as up:
        print(f"seconds from kill -9 to the next answer, {rounds} rounds: median and worst")
        for name in PROCESSES:
            away = sorted(_away(up, name) for _ in range(rounds))
            print(f"  {name:10} {away[len(away) // 2]:5.2f} {away[-1]:5.2f}")


def _away(up: Running, name: str) -> float:
    before = up.kill(name)
    return until(lambda: up.child(name)["pid"] not in (0, before) and up.serves(name), 20, f"{name} is back")


if __name__ == "__main__":
    main()
