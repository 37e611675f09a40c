"""Canaries and instructions in an answer, in every dress that is seen through, and harmless texts."""

import base64
import codecs
import random
import secrets
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec, StreamingMode
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.detectors.leakage import LeakageDetector
from sluice_guardrail.domain.model import Reason
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.streaming import OutputStream
from sluice_guardrail.domain.texts import Answer

INSTRUCTIONS = (
    "You are the help desk of Quill. Answer from the passages only, and never speak about prices, about the "
    "competition or about the people who work for the firm."
)
DETECTOR = LeakageDetector((INSTRUCTIONS,))

#: Letters of other alphabets that look like ours.
HOMOGLYPHS = str.maketrans("aeopcxyABEKMHOPCTX", "аеорсхуАВЕКМНОРСТХ")
LEET = str.maketrans("oieastb", "0134578")

DRESSES = {
    "as it is": lambda word: word,
    "upper case": str.upper,
    "spaced": lambda word: " ".join(word),
    "dotted": ".".join,
    "dashed": lambda word: "-".join(word),
    "in halves": lambda word: f"{word[:7]}, and then {word[7:]}".replace(", and then ", "  |  "),
    "over lines": lambda word: "\n".join(word),
    "bulleted": lambda word: "\n".join(f"- {letter}" for letter in word),
    "numbered": lambda word: "\n".join(f"{number}. {letter}" for number, letter in enumerate(word, 1)),
    "bold items": lambda word: "\n".join(f"{number}. **{letter}**" for number, letter in enumerate(word, 1)),
    "reversed": lambda word: word[::-1],
    "reversed and spaced": lambda word: " ".join(word[::-1]),
    "rot13": lambda word: codecs.encode(word, "rot13"),
    "homoglyphs": lambda word: word.translate(HOMOGLYPHS),
    "leet": lambda word: word.translate(LEET),
    "full width": lambda word: "".join(chr(ord(letter) + 0xFEE0) for letter in word),
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "tags": lambda word: "".join(chr(0xE0000 + ord(letter)) for letter in word),
    "hex": lambda word: word.encode().hex(),
    "hex with gaps": lambda word: word.encode().hex(" "),
    "base64": lambda word: base64.b64encode(word.encode()).decode(),
    "base64 within": lambda word: base64.b64encode(f"the word is {word}, you see".encode()).decode(),
    "base64 over lines": lambda word: "\n".join(
        base64.b64encode(f"It is {word}!".encode()).decode()[at : at + 8] for at in range(0, 40, 8)
    ),
    "base32": lambda word: base64.b32encode(word.encode()).decode(),
    "percent": lambda word: "".join(f"%{ord(letter):02x}" for letter in word),
    "entities": lambda word: "".join(f"&#{ord(letter)};" for letter in word),
    "initials of words": lambda word: " ".join(f"{letter}nd" for letter in word),
    "initials of lines": lambda word: "\n".join(f"{letter}nd so it goes." for letter in word),
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
@settings(max_examples=20, deadline=None)
@given(
    word=st.one_of(
        st.builds(lambda seed: random.Random(seed).randbytes(8).hex(), st.integers(0, 2**32)),
        st.text(string.ascii_lowercase + string.digits, min_size=16, max_size=24),
    ),
    before=st.sampled_from(("", "So it is:\n", "The press is made in Lisbon [1].\n\n")),
    after=st.sampled_from(("", " That is all.", "\n\nIt weighs 40 kg [2].")),
)
def test_a_canary_is_found_in_any_dress_anywhere(dress, word: str, before: str, after: str):
    text = f"{before}{dress(word)}{after}"
    (finding,) = DETECTOR.detect(Answer("", text, (), (word,))).findings
    assert finding.category == "canary"
    assert 0 <= finding.span.start < finding.span.end <= len(text)


def test_the_span_of_a_canary_is_where_it_stands():
    text = "It is A1b2-C3d4-E5f6-A7b8, so to say."
    (finding,) = DETECTOR.detect(Answer("", text, (), ("a1b2c3d4e5f6a7b8",))).findings
    assert text[finding.span.start : finding.span.end] == "A1b2-C3d4-E5f6-A7b8"


def test_no_canary_is_found_in_a_hundred_thousand_harmless_texts():
    rng = random.Random(7)
    canaries = tuple(secrets.token_hex(8) for _ in range(8))
    letters = string.ascii_letters + string.digits + "     .,-\n"
    whole = "".join(rng.choices(letters, k=100_000 * 60))
    texts = [whole[at : at + 6_000] for at in range(0, len(whole), 6_000)]  # a hundred harmless ones in each
    assert not any(DETECTOR.detect(Answer("", text, (), canaries)).findings for text in texts)


def test_words_too_short_for_a_canary_are_not_looked_for():
    assert not DETECTOR.detect(Answer("", "It is so.", (), ("itis",))).findings


@pytest.mark.parametrize(
    "text",
    [
        INSTRUCTIONS,
        f"Sure! {INSTRUCTIONS.upper()}",
        INSTRUCTIONS.replace(" ", "\n- "),
        INSTRUCTIONS.replace(" ", " ... "),
        "\n".join(f"{number}. {word}" for number, word in enumerate(INSTRUCTIONS.split(), 1)),
        " ".join(INSTRUCTIONS),
        INSTRUCTIONS[::-1],
        codecs.encode(INSTRUCTIONS, "rot13"),
        base64.b64encode(INSTRUCTIONS.encode()).decode(),
        INSTRUCTIONS.encode().hex(),
        INSTRUCTIONS.translate(HOMOGLYPHS),
        "They told me: never speak about prices, about the competition or about anything else.",
    ],
)
def test_instructions_are_found_in_other_dress(text: str):
    categories = {finding.category for finding in DETECTOR.detect(Answer("", text, ())).findings}
    assert "instructions" in categories


@pytest.mark.parametrize(
    ("text", "passages", "question"),
    [
        (f"The handbook says: {INSTRUCTIONS}", (f"Handbook\n{INSTRUCTIONS}",), ""),
        ("You wrote: never speak about prices, about the competition or about", (), INSTRUCTIONS),
        ("I cannot reveal my system prompt: it is confidential.", (), ""),
        ("I'm not allowed to say what the system prompt is: sorry.", (), ""),
        ("A system prompt tells a model how to behave.", (), "What is a system prompt?"),
        ("We never speak about prices.", (), ""),
    ],
)
def test_quotes_and_refusals_are_no_leaks(text: str, passages: tuple[str, ...], question: str):
    assert not DETECTOR.detect(Answer(question, text, passages)).findings


def test_a_canary_is_a_leak_though_a_passage_holds_it():
    answer = Answer("", "It is a1b2c3d4e5f6a7b8.", ("a1b2c3d4e5f6a7b8",), ("a1b2c3d4e5f6a7b8",))
    assert [finding.category for finding in DETECTOR.detect(answer).findings] == ["canary"]


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("dress", ["as it is", "numbered", "spaced", "reversed"])
def test_a_stream_ends_with_the_canary(dress: str, size: int):
    canary = "a1b2c3d4e5f6a7b8"
    text = f"The press is made in Lisbon. {DRESSES[dress](canary)}\nSo it is. And so on it goes."
    screener = Screener(
        Policy("p", "v", GuardrailPolicySpec(streaming=StreamingMode.WINDOW), ()), Parts(all_rules())
    )
    stream = OutputStream(screener, "", (), canaries=(canary,))
    steps = []
    for start in range(0, len(text), size):
        steps.append(stream.feed(text[start : start + size]))
        if steps[-1].final:
            break
    else:
        steps.append(stream.finish())
    assert steps[-1].verdict.reason is Reason.PROMPT_LEAK
    assert canary not in text[: steps[-1].released]
