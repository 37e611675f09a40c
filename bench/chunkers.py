"""How well each way to cut documents serves retrieval, by Chroma's chunking evaluation.

    python bench/chunkers.py --data FOLDER [--test]

FOLDER holds `questions_df.csv` (question, references as JSON with `start_index` and `end_index`, corpus_id) and a
`<corpus_id>.md` for each corpus: github.com/brandonstarxel/chunking_evaluation, `general_evaluation_data/`.

Every corpus is cut, all chunks and questions are encoded, and the five nearest chunks of all corpora are scored by
characters: recall (of the excerpts that answer), precision (of what was retrieved), IoU, and precision with
perfect recall (all chunks that hold a part of an excerpt). Five small chunks are less text than five large ones, so
recall is also taken over as many of the nearest chunks as come to 4,000 characters. Differences to the default are
paired by question, with 95 % bootstrap intervals. Half of the questions, by their hash, is there to choose by;
`--test` adds the other half. Vectors are kept in .cache/, so a second run takes a minute.
"""

import argparse
import csv
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from sluice_api.objects.knowledge_base import Chunking, ChunkingMethod
from sluice_minilm.tokenizing import WINDOW, TokenCounter
from sluice_retriever.domain.chunking import Budget, chunk, context_line
from sluice_retriever.domain.markdown import blocks, plain_blocks
from sluice_retriever.domain.model import Chunk, Floats
from sluice_retriever.encoding.encoder import Encoder

CACHE = Path(".cache/chunkers")
TOP = 5
CHARACTERS = 4_000
RESAMPLES = 10_000
BATCH = 64
MEASURES = ("recall", "recall@4k", "precision", "precision Ω", "IoU")

Range = tuple[int, int]
Scores = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and where its answer stands."""

    text: str
    corpus: str
    excerpts: tuple[Range, ...]

    @property
    def held_out(self) -> bool:
        """Whether nothing may be chosen by it."""
        return bool(hashlib.sha256(self.text.encode()).digest()[0] & 1)


@dataclass(frozen=True, slots=True)
class Cut:
    """All corpora in chunks; entry i of each field is of chunk i."""

    corpora: list[str]
    ranges: list[Range]
    vectors: Floats


def main() -> None:
    """Prints a row of measures for each way to cut."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 200, 256], help="maxTokens")
    parser.add_argument("--overlaps", type=int, nargs="+", default=[0, 1, 2], help="overlapSentences")
    parser.add_argument("--methods", nargs="+", type=ChunkingMethod, default=list(ChunkingMethod))
    parser.add_argument("--corpora", nargs="+", help="of these only, and the questions to them")
    parser.add_argument("--test", action="store_true", help="also the half that is held out")
    arguments = parser.parse_args()

    sources = {
        path.stem: read_corpus(path)
        for path in sorted(arguments.data.glob("*.md"))
        if path.stem in (arguments.corpora or path.stem)
    }
    questions = [
        question
        for question in read_questions(arguments.data / "questions_df.csv")
        if question.corpus in sources
    ]
    default = Chunking()
    grid = {
        Chunking(method=method, max_tokens=size, overlap_sentences=overlap): None
        for method, size, overlap in product(arguments.methods, arguments.sizes, arguments.overlaps)
    }
    scores = measure(list({default: None} | grid), sources, questions)
    for name, held_out in (("dev", False), ("test", True)):
        if held_out and not arguments.test:
            continue
        asked = np.array([question.held_out is held_out for question in questions])
        report(f"{name}: {', '.join(sources)}", scores, default, asked)
        marked = asked & np.array([question.corpus == "wikitexts" for question in questions])
        report(f"{name}: wikitexts, the one with headings", scores, default, marked)
        draw(f"{name}: recall over {CHARACTERS} characters", scores, asked)


def measure(
    grid: Sequence[Chunking], sources: dict[str, str], questions: Sequence[Question]
) -> dict[Chunking, Scores]:
    """The measures of every question under every way to cut."""
    encoder, counter = Encoder(threads=2), TokenCounter()
    texts = [("", Chunk(question.text, (), ())) for question in questions]
    with Progress() as progress:
        asked = encode(encoder, texts, progress)
        task = progress.add_task("ways to cut", total=len(grid))
        scores = {}
        for chunking in grid:
            cut = cut_all(chunking, sources, encoder, counter, progress)
            nearest = np.argsort(-(asked @ cut.vectors.T), axis=1, kind="stable")
            rows = [
                judge(question, cut, order.tolist())
                for question, order in zip(questions, nearest, strict=True)
            ]
            scores[chunking] = {name: np.array([row[name] for row in rows]) for name in MEASURES}
            progress.advance(task)
    return scores


def cut_all(
    chunking: Chunking, sources: dict[str, str], encoder: Encoder, counter: TokenCounter, progress: Progress
) -> Cut:
    """Cuts and encodes every corpus."""
    budget = Budget(chunking.max_tokens, chunking.overlap_sentences, WINDOW, chunking.method)
    corpora: list[str] = []
    ranges: list[Range] = []
    vectors: list[Floats] = []
    for corpus, source in sources.items():
        parse = blocks if re.search(r"^# ", source, re.MULTILINE) else plain_blocks
        chunks = chunk("", parse(source), budget, counter)
        ranges.extend(located(source, chunks))
        corpora.extend([corpus] * len(chunks))
        vectors.append(encode(encoder, [(context_line("", each.section), each) for each in chunks], progress))
    return Cut(corpora, ranges, np.concatenate(vectors))


def encode(encoder: Encoder, chunks: Sequence[tuple[str, Chunk]], progress: Progress) -> Floats:
    """Dense vectors, from .cache/ where the same texts were encoded by the same model."""
    content = json.dumps([encoder.model_digest, [(above, each.text) for above, each in chunks]])
    path = CACHE / f"{hashlib.sha256(content.encode()).hexdigest()}.npy"
    if path.exists():
        known: Floats = np.load(path)
        return known
    task = progress.add_task("encoding", total=len(chunks))
    found: list[Floats] = []
    for start in range(0, len(chunks), BATCH):
        # Without sentences: only the dense vector is looked at.
        batch = [(above, Chunk(each.text, (), ())) for above, each in chunks[start : start + BATCH]]
        found.extend(vectors.dense for vectors in encoder.chunks(batch))
        progress.advance(task, len(batch))
    progress.remove_task(task)
    CACHE.mkdir(parents=True, exist_ok=True)
    vectors = np.stack(found)
    np.save(path, vectors)
    return vectors


def located(source: str, chunks: Sequence[Chunk]) -> Iterator[Range]:
    """Where each chunk stands in the text that it was cut from, white space and marks of Markdown aside."""
    places = [index for index, character in enumerate(source) if not character.isspace()]
    squeezed = "".join(source.split())
    start = 0
    for each in chunks:
        parts = ["".join(line.split()) for line in each.text.split("\n")]
        begin = squeezed.index(parts[0], start)
        end = begin + len(parts[0])
        for part in parts[1:]:
            end = squeezed.index(part, end) + len(part)
        yield places[begin], places[end - 1] + 1
        start = begin + 1


def judge(question: Question, cut: Cut, order: Sequence[int]) -> dict[str, float]:
    """A question's measures, given the chunks from the nearest to the farthest."""
    wanted = length(question.excerpts)

    def held(chunks: Sequence[int]) -> int:
        own = [cut.ranges[index] for index in chunks if cut.corpora[index] == question.corpus]
        return length(common(own, question.excerpts))

    top = order[:TOP]
    found = held(top)
    retrieved = sum(end - start for start, end in (cut.ranges[index] for index in top))
    holding = [
        cut.ranges[index]
        for index in range(len(cut.ranges))
        if cut.corpora[index] == question.corpus and common([cut.ranges[index]], question.excerpts)
    ]
    best = length(common(holding, question.excerpts))
    return {
        "recall": found / wanted,
        "recall@4k": held(within(cut, order)) / wanted,
        "precision": found / retrieved,
        "precision Ω": best / length([*holding, *question.excerpts]),
        "IoU": found / (retrieved + wanted - found),
    }


def within(cut: Cut, order: Sequence[int]) -> list[int]:
    """The nearest chunks that come to no more than `CHARACTERS` together."""
    taken: list[int] = []
    room = CHARACTERS
    for index in order:
        start, end = cut.ranges[index]
        room -= end - start
        if room < 0:
            break
        taken.append(index)
    return taken


def common(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """The parts of `some` that lie in `others`."""
    shared = [(max(a, c), min(b, d)) for (a, b), (c, d) in product(some, others)]
    return [(start, end) for start, end in shared if start < end]


def length(ranges: Sequence[Range]) -> int:
    """How many characters lie in any of the ranges."""
    total = reached = 0
    for start, end in sorted(ranges):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def report(
    title: str, scores: dict[Chunking, Scores], default: Chunking, asked: npt.NDArray[np.bool_]
) -> None:
    """A table: means, and what each differs by from the default's."""
    print(f"\n{title}, {asked.sum()} questions; today's default first, differences to it with 95 % intervals")
    print(f"{'':<18}" + "".join(f"{name:>30}" for name in MEASURES))
    picks = np.random.default_rng(0).integers(0, asked.sum(), (RESAMPLES, asked.sum()))
    for chunking, measured in scores.items():
        cells = [f"{label(chunking):<18}"]
        for name in MEASURES:
            values = measured[name][asked]
            cell = f"{values.mean():.3f}"
            if chunking != default:
                differences = values - scores[default][name][asked]
                low, high = np.percentile(differences[picks].mean(axis=1), (2.5, 97.5))
                cell += f" {differences.mean():+.3f} [{low:+.3f} {high:+.3f}]"
            cells.append(f"{cell:>30}")
        print("".join(cells))


def draw(title: str, scores: dict[Chunking, Scores], asked: npt.NDArray[np.bool_]) -> None:
    """A bar for each way to cut."""
    print(f"\n{title}")
    for chunking, measured in scores.items():
        mean = measured["recall@4k"][asked].mean()
        print(f"{label(chunking):<18} {'█' * round(mean * 60)} {mean:.3f}")


def label(chunking: Chunking) -> str:
    """A way to cut as one word: method/maxTokens/overlapSentences."""
    return f"{chunking.method}/{chunking.max_tokens}/{chunking.overlap_sentences}"


def read_questions(path: Path) -> list[Question]:
    """The questions with the excerpts that answer them."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            Question(
                row["question"],
                row["corpus_id"],
                tuple((part["start_index"], part["end_index"]) for part in json.loads(row["references"])),
            )
            for row in csv.DictReader(lines)
        ]


def read_corpus(path: Path) -> str:
    """A corpus; wikitext's headings (` = = Plot = = `) become Markdown's, of the same length: places stay."""

    def heading(line: re.Match[str]) -> str:
        marks = "#" * line["marks"].count("=")
        return f"{marks} {line['title']}".ljust(len(line[0]))

    with path.open(encoding="utf-8", newline="") as file:
        source = file.read()
    return re.sub(r"^ (?P<marks>(?:= )+)(?P<title>[^=\n]+?) (?:= ?)+ *$", heading, source, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
