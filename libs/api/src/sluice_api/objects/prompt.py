"""How a prompt is laid out: its template, and what of passages and history it has room for."""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from sluice_api import templates
from sluice_api.objects.base import Model
from sluice_api.objects.cel import Rule
from sluice_api.templates import Template

#: What a template may hold.
PLACEHOLDERS = ("passages", "instructions", "rules", "system", "question", "date", "tenant")

#: What the system message is without a template.
DEFAULT_TEMPLATE = "{instructions}\n\n{system}\n\n{rules}\n\n{passages}"


class PassageOrder(StrEnum):
    """Where in the prompt the best passages stand. Their numbers stay those of their ranks."""

    RANK = "rank"
    """The best one first."""
    REVERSED = "reversed"
    """The best one last, nearest to the question."""
    EDGES = "edges"
    """The best ones first and last, the others between them: what stands in the middle of a long prompt is read worst
    (arXiv 2307.03172)."""


@lru_cache(maxsize=256)
def parsed(template: str) -> Template:
    """A template of a prompt, read.

    Raises:
        ValueError: what is wrong with it.
    """
    return templates.parse(template or DEFAULT_TEMPLATE, PLACEHOLDERS, once="passages")


def _readable(template: str) -> str:
    parsed(template)
    return template


def _unreserved(name: str) -> str:
    if name in ("number", "title"):
        raise ValueError(f"{name!r} is what a passage's tag says already")
    return name


#: A field of a document's metadata, as it may stand in a tag.
MetadataField = Annotated[
    str, Field(max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_unreserved)
]


class Prompt(Model):
    """What of the passages and of the conversation a model reads, and how that is laid out."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            r"self.template == '' || self.template.matches('[{]\\s*passages\\s*[}]')",
            "{passages} must stand in the template",
            "_readable",
            "template",
        ),
        Rule(
            "self.metadata.all(name, name != 'number' && name != 'title')",
            "metadata cannot show number and title: they are what a passage's tag says already",
            "_unreserved",
            "metadata",
        ),
    )

    template: Annotated[str, Field(max_length=16384), AfterValidator(_readable)] = ""
    """The system message, with `{passages}`, and, as wanted, `{instructions}`, `{rules}`, `{system}`, `{question}`,
    `{date}`, `{tenant}`; a fixed one when empty. What is put in their places is never read as a template."""
    max_prompt_tokens: Annotated[int, Field(ge=64, le=10_000_000)] | None = None
    """The most tokens of the whole prompt. When absent, what the model's context holds besides the answer, where the
    server tells how much that is; else there is no limit."""
    max_history_tokens: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    """The most tokens of earlier turns, the newest of which are kept, whole. When absent, half of what the question and
    `minPassages` leave, and all that the other passages do not need."""
    min_passages: Annotated[int, Field(ge=1, le=100)] = 1
    """So many of the best passages have room before earlier turns do."""
    max_passage_tokens: Annotated[int, Field(ge=16, le=1_000_000)] | None = None
    """A longer passage is cut after a sentence."""
    passage_order: PassageOrder = PassageOrder.RANK
    """Where the best passages stand."""
    titles: bool = True
    """Shows the titles of the passages' documents."""
    metadata: Annotated[tuple[MetadataField, ...], Field(max_length=16)] = ()
    """Fields of the documents' metadata that are shown with their passages."""
    special_tokens: bool = False
    """Leaves a model's special tokens, such as `<|im_end|>`, as they are in what the caller sends. In passages and in
    what tools give they never are."""

    @property
    def layout(self) -> Template:
        """The template, read."""
        return parsed(self.template)
