"""Public questions whose answers are marked in documents, and the passages that a run would hand over for each."""

import csv
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from chunkers import Range, common, length, read_corpus, read_questions

from evaluation.asking import KNOWLEDGE_BASE, TENANT, stored
from evaluation.grounding_cases import lines_of
from evaluation.labelled import Collection, Split, half
from evaluation.stages import candidate
from sluice_api.objects.retrieval import Retrieval
from sluice_inference.domain.model import Passage, Sentence
from sluice_reranker.domain.ranking import rank
from sluice_retriever.domain import model as retrieved
from sluice_retriever.domain.parameters import resolve
from sluice_retriever.service import Retriever
from sluice_retriever.store.messages import Lookup

#: Passages that are found and reranked, and of these handed over: a pipeline's defaults.
_FOUND, HANDED = 50, 5

#: Another collection's questions that are asked on one's documents.
_OTHERS = 150

csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class Marked:
    """Documents, and questions with the ranges of every document that answer them; none where only the document is
    known."""

    name: str
    documents: list[retrieved.Document]
    questions: dict[str, str]
    wanted: dict[str, dict[str, list[Range]]]
    has_ranges: bool = True
    asks: bool = True
    """Questions, not claims."""


@dataclass(frozen=True)
class Case:
    """A question, the passages handed over, and where in the documents their sentences stand."""

    collection: str
    question: str
    passages: tuple[Passage, ...]
    places: tuple[tuple[Range | None, ...], ...] = ()
    """Of each passage's sentences in its document; None where it could not be found there."""
    wanted: Mapping[str, Sequence[Range]] = field(default_factory=dict)

    @property
    def answerable(self) -> int:
        """How many characters of the passages answer."""
        return length(self._answering(self._all()))

    def judge(self, quoted: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
        """Precision and recall of quoted ranges (passage from 0, start, end): by characters, in whole sentences, of
        what the passages hold. Quoting a sentence twice makes the second one worthless."""
        held: dict[str, list[Range]] = defaultdict(list)
        total = 0
        for number, start, end in quoted:
            passage = self.passages[number]
            for sentence, place in zip(passage.sentences, self.places[number], strict=True):
                if place and sentence.start < end and start < sentence.end:
                    held[passage.document_id].append(place)
                    total += place[1] - place[0]
        right = length(self._answering(held))
        return (right / total if total else 0.0), right / self.answerable

    def share(self, number: int, sentence: int) -> float:
        """How much of a passage's sentence lies in what answers, 0 to 1."""
        place = self.places[number][sentence]
        if place is None:
            return 0.0
        wanted = self.wanted.get(self.passages[number].document_id, ())
        return length(common([place], wanted)) / (place[1] - place[0])

    def _all(self) -> dict[str, list[Range]]:
        held: dict[str, list[Range]] = defaultdict(list)
        for passage, places in zip(self.passages, self.places, strict=True):
            held[passage.document_id] += [place for place in places if place]
        return held

    def _answering(self, held: Mapping[str, Sequence[Range]]) -> list[Range]:
        """As ranges in one text: a document's lie behind those of the one before."""
        found, shift = [], 0
        for document, wanted in self.wanted.items():
            inside = common(held.get(document, ()), wanted)
            found += [(start + shift, end + shift) for start, end in inside]
            shift += max(end for _, end in wanted) if wanted else 0
        return found


@dataclass(frozen=True)
class Cases:
    """A collection's questions of one split."""

    name: str
    answered: list[Case]
    """The passages hold an answer, or a part of it."""
    removed: list[Case]
    """The same questions, every passage that answers taken away: what is nearest to it is left."""
    foreign: list[Case]
    """Another collection's questions."""
    double: list[tuple[Case, Case]]
    """Two questions asked as one whose passages answer both; each time with what answers the first, and the second."""
    has_ranges: bool = True


async def gather(marked: Marked, others: Marked, split: Split) -> Cases:
    """What a run's search and reranking find: for the questions of one split, and for those of another collection."""
    collection = Collection(marked.name, marked.documents, marked.questions, {})
    texts = {document.id: document.text for document in marked.documents}
    cases = Cases(marked.name, [], [], [], [], marked.has_ranges)
    async with stored(collection) as retriever:
        for query in _of(marked, split):
            question, wanted = marked.questions[query], marked.wanted[query]
            found = await _found(retriever, question)
            places = {each.chunk_id: _places(each, texts[each.document_id]) for each in found}
            whole = _case(marked.name, question, _ranked(question, found), places, wanted)
            if _answers(marked, whole):
                cases.answered.append(whole)
            left = [each for each in found if not _touches(each, places[each.chunk_id], wanted, marked)]
            cases.removed.append(_case(marked.name, question, _ranked(question, left)))
        for query in _of(others, split)[:_OTHERS]:
            question = others.questions[query]
            found = await _found(retriever, question)
            cases.foreign.append(_case(marked.name, question, _ranked(question, found)))
        if marked.asks and marked.has_ranges:
            own = _of(marked, split)
            for number, pair in enumerate(zip(own[::2], own[1::2], strict=False)):
                question = _joined(number, *(marked.questions[query] for query in pair))
                found = await _found(retriever, question)
                places = {each.chunk_id: _places(each, texts[each.document_id]) for each in found}
                handed = _ranked(question, found)
                one, other = (
                    _case(marked.name, question, handed, places, marked.wanted[query]) for query in pair
                )
                if one.answerable and other.answerable:
                    cases.double.append((one, other))
    return cases


def _of(marked: Marked, split: Split) -> list[str]:
    own = [query for query in marked.wanted if half(f"{marked.name}/{query}") is split]
    return sorted(own, key=lambda query: hashlib.sha256(query.encode()).digest())


def _joined(number: int, one: str, other: str) -> str:
    if number % 2:
        return f"{one} {other}"
    return f"{one.rstrip('?. ')}, and {other[0].lower()}{other[1:]}"


def _case(
    collection: str,
    question: str,
    handed: Sequence[tuple[retrieved.Passage, float]],
    places: Mapping[str, tuple[Range | None, ...]] | None = None,
    wanted: Mapping[str, Sequence[Range]] | None = None,
) -> Case:
    passages = tuple(_handed(passage, score) for passage, score in handed)
    shown = tuple(places[passage.chunk_id] for passage, _ in handed) if places else ()
    return Case(collection, question, passages, shown, wanted or {})


def _answers(marked: Marked, case: Case) -> bool:
    if marked.has_ranges:
        return case.answerable > 0
    return any(passage.document_id in case.wanted for passage in case.passages)


def _touches(
    passage: retrieved.Passage,
    places: Sequence[Range | None],
    wanted: Mapping[str, Sequence[Range]],
    marked: Marked,
) -> bool:
    ranges = wanted.get(passage.document_id)
    if ranges is None:
        return False
    return not marked.has_ranges or bool(common([place for place in places if place], ranges))


async def _found(retriever: Retriever, question: str) -> list[retrieved.Passage]:
    home = retriever.knowledge_bases.home(KNOWLEDGE_BASE)
    vectors = await home.encoder.question(question)
    reader = retrieved.Reader(TENANT)
    lookup = Lookup(reader, question, vectors, _FOUND, resolve(Retrieval()), None, time.time())
    return (await home.store.search(lookup)).passages


def _ranked(question: str, found: Sequence[retrieved.Passage]) -> list[tuple[retrieved.Passage, float]]:
    """What is handed over, with the reranker's scores."""
    best = rank(question, [candidate(passage) for passage in found], HANDED, lambda: True).best
    return [(found[row.index], row.score) for row in best]


def _handed(passage: retrieved.Passage, score: float) -> Passage:
    sentences = (Sentence(each.span.start, each.span.end, each.similarity) for each in passage.sentences)
    return Passage(passage.document_id, passage.title, passage.text, score, tuple(sentences))


def _places(passage: retrieved.Passage, source: str) -> tuple[Range | None, ...]:
    """Where a passage's sentences stand in its document, white space and marks of Markdown aside."""
    index, squeezed = _squeezed(source)
    whole = squeezed.find("".join(passage.text.split()))
    at, found = max(0, whole), []
    for sentence in passage.sentences:
        text = "".join(passage.text[sentence.span.start : sentence.span.end].split())
        start = squeezed.find(text, at) if text else -1
        found.append((index[start], index[start + len(text) - 1] + 1) if start >= 0 else None)
        at = start + len(text) if start >= 0 else at
    return tuple(found)


@cache
def _squeezed(source: str) -> tuple[list[int], str]:
    return [index for index, sign in enumerate(source) if not sign.isspace()], "".join(source.split())


def chunkeval(folder: Path) -> Marked:
    """Five long texts, questions, and every excerpt that answers one."""
    raw = folder / "retrieval" / "chunkeval" / "raw"
    documents = [
        retrieved.Document(
            path.stem, read_corpus(path), path.stem.replace("_", " "), media_type="text/markdown"
        )
        for path in sorted(raw.glob("*.md"))
    ]
    questions = read_questions(raw / "questions_df.csv")
    named = {hashlib.sha256(each.text.encode()).hexdigest()[:12]: each for each in questions}
    return Marked(
        "answers-chunkeval",
        documents,
        {name: each.text for name, each in named.items()},
        {name: {each.corpus: list(each.excerpts)} for name, each in named.items()},
    )


def scifact(folder: Path, most: int = 700) -> Marked:
    """Claims, and the sentences of abstracts that support or contradict them."""
    own = folder / "guardrails" / "scifact"
    abstracts = {row["doc_id"]: row for row in _rows(own / "corpus_train.csv")}
    claims: dict[str, str] = {}
    sentences: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in (*_rows(own / "claims_train.csv"), *_rows(own / "claims_validation.csv")):
        document = row["evidence_doc_id"].split(".")[0]
        if row["evidence_label"] and document in abstracts:
            claims[row["id"]] = row["claim"]
            sentences[row["id"]][document] |= {
                int(each) for each in row["evidence_sentences"].strip("[]").split()
            }
    judged = {document for each in sentences.values() for document in each}
    kept = [*sorted(judged), *(name for name in abstracts if name not in judged)][:most]
    lines = {name: lines_of(abstracts[name]["abstract"]) for name in kept}
    documents = [retrieved.Document(name, " ".join(lines[name]), abstracts[name]["title"]) for name in kept]
    wanted = {
        claim: {name: list(_ranges(lines[name], numbers)) for name, numbers in found.items()}
        for claim, found in sentences.items()
    }
    return Marked("answers-scifact", documents, claims, wanted, asks=False)


def climate_fever(folder: Path, most: int = 300) -> Marked:
    """Claims, and the sentences of Wikipedia that support or refute them, each beside others of its article."""
    path = folder / "guardrails" / "climate_fever" / "climate-fever.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: hashlib.sha256(row["claim_id"].encode()).digest())
    articles: dict[str, dict[int, str]] = defaultdict(dict)
    right: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows[:most]:
        for each in row["evidences"]:
            article, _, number = each["evidence_id"].rpartition(":")
            articles[article][int(number)] = each["evidence"]
            if each["evidence_label"] != "NOT_ENOUGH_INFO":
                right[row["claim_id"]][article].add(int(number))
    ordered = {name: sorted(found) for name, found in articles.items()}
    lines = {name: [articles[name][number] for number in numbers] for name, numbers in ordered.items()}
    documents = [retrieved.Document(name, " ".join(text), name) for name, text in lines.items()]
    wanted = {
        claim: {
            name: list(_ranges(lines[name], {ordered[name].index(number) for number in numbers}))
            for name, numbers in found.items()
        }
        for claim, found in right.items()
    }
    claims = {row["claim_id"]: row["claim"] for row in rows[:most]}
    return Marked("answers-climate", documents, claims, wanted, asks=False)


def pubmedqa(folder: Path, most: int = 400) -> Marked:
    """Questions and the abstract of the study that answers each; which sentences do is not known."""
    path = folder / "guardrails" / "pubmedqa" / "ori_pqal.json"
    rows = sorted(json.loads(path.read_text(encoding="utf-8")).items())[:most]
    documents = [retrieved.Document(name, "\n\n".join(row["CONTEXTS"])) for name, row in rows]
    questions = {name: row["QUESTION"] for name, row in rows}
    return Marked(
        "answers-pubmedqa", documents, questions, {name: {name: []} for name in questions}, has_ranges=False
    )


COLLECTIONS = {"chunkeval": chunkeval, "scifact": scifact, "pubmedqa": pubmedqa, "climate": climate_fever}
#: Whose questions are asked on a collection's documents.
OTHERS = {"chunkeval": "pubmedqa", "scifact": "chunkeval", "pubmedqa": "chunkeval", "climate": "chunkeval"}


def _ranges(lines: Sequence[str], numbers: set[int]) -> Iterator[Range]:
    start = 0
    for number, line in enumerate(lines):
        if number in numbers:
            yield start, start + len(line)
        start += len(line) + 1


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
