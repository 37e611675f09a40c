"""Real vectors in number: sentences of the collections, alone and with their neighbour, encoded once and kept.

Sentences of every fiftieth document, and the collections' own questions, are what is asked; none of them is indexed.
"""

import hashlib
import json
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.progress import track
from sentencex import segment

from evaluation.asking import CACHE
from evaluation.labelled import Collection, Split
from sluice_retriever.domain.model import Chunk, Floats
from sluice_retriever.encoding.encoder import Encoder

_HELD_OUT = 50
_SENTENCES_ASKED = 500
_QUESTIONS_ASKED = 500

#: Texts encoded and kept in one go: what a run that was broken off may lose.
_BLOCK = 2048


@dataclass(frozen=True)
class Windows:
    """What is indexed."""

    vectors: Floats
    """Shape (windows, 384), L2-normalised."""
    documents: Sequence[str]
    """Each window's document, `collection/id`."""


@dataclass(frozen=True)
class Asked:
    """What is looked for."""

    vectors: Floats
    """Shape (questions, 384), L2-normalised."""
    answers: Sequence[dict[str, float]]
    """For each question the grades of its documents; empty where it is a held-out sentence."""


@dataclass(frozen=True)
class _Text:
    text: str
    document: str


def encoded(collections: Sequence[Collection], most: int) -> tuple[Windows, Asked]:
    """Up to `most` windows in random order, so that every beginning is a sample, and the questions."""
    texts, sentences = _texts(collections)
    questions = [
        (collection.questions[query], {f"{collection.name}/{name}": grade for name, grade in grades.items()})
        for collection in collections
        for query, grades in {**collection.labels[Split.DEV], **collection.labels[Split.TEST]}.items()
    ]
    random.Random(1).shuffle(questions)
    asked = [*questions[:_QUESTIONS_ASKED], *((text.text, {}) for text in sentences[:_SENTENCES_ASKED])]
    kept = texts[:most]
    encoder = Encoder(os.cpu_count() or 1)
    windows = Windows(
        _vectors(encoder, [text.text for text in kept], "windows"), [text.document for text in kept]
    )
    vectors = _vectors(encoder, [text for text, _ in asked], "questions")
    return windows, Asked(vectors, [answers for _, answers in asked])


def _texts(collections: Sequence[Collection]) -> tuple[list[_Text], list[_Text]]:
    """Windows to index, and sentences to ask for; both shuffled the same way every time."""
    indexed: dict[str, _Text] = {}
    held_out: list[_Text] = []
    for collection in collections:
        for document in collection.documents:
            name = f"{collection.name}/{document.id}"
            sentences = [part.strip() for part in segment("en", document.text) if len(part.split()) > 3]
            if int(hashlib.sha256(name.encode()).hexdigest(), 16) % _HELD_OUT == 0:
                held_out.extend(_Text(sentence, name) for sentence in sentences)
            else:
                pairs = (" ".join(pair) for pair in zip(sentences[::2], sentences[1::2], strict=False))
                indexed.update((text, _Text(text, name)) for text in (*sentences, *pairs))
    windows = list(indexed.values())
    asked = [text for text in held_out if text.text not in indexed]
    random.Random(1).shuffle(windows)
    random.Random(1).shuffle(asked)
    return windows, asked


def _vectors(encoder: Encoder, texts: Sequence[str], label: str) -> Floats:
    blocks = [list(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
    found = [
        _block(encoder, block)
        for block in track(blocks, f"encoding {label}", disable=not sys.stderr.isatty())
    ]
    vectors: Floats = np.concatenate(found)
    return vectors


def _block(encoder: Encoder, texts: list[str]) -> Floats:
    name = hashlib.sha256(json.dumps([encoder.model_digest, texts]).encode()).hexdigest()[:16]
    path = CACHE / "windows" / f"{name}.npy"
    if not path.exists():
        chunks = [("", Chunk(text, (), ())) for text in texts]
        dense = np.stack([vectors.dense for vectors in encoder.chunks(chunks)])
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.npy")
        np.save(unfinished, dense)
        unfinished.rename(path)
    vectors: Floats = np.load(path)
    return vectors
