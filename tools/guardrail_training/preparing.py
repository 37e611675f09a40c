"""Everything that training and measuring read: examples, what is nearly the same, windows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from guardrail_training.duplicates import groups
from guardrail_training.leaving_out import Prepared
from guardrail_training.own import own_examples
from guardrail_training.reading import Example, Role, read_all
from guardrail_training.windows import Encoder

#: Where embeddings are kept; they do not depend on what is trained.
CACHE = Path(".cache/guardrail")


def prepare(data: Path, cache: Path = CACHE) -> Prepared:
    """All of the manifest's sources under a folder, and the corpus of our own."""
    read = read_all(data)
    harmless = [each for each in read if each.role is Role.TRAIN and not each.attack]
    examples = _distinct([*read, *own_examples(harmless)])
    return Prepared(examples, grouped(examples), Encoder(cache).windows(examples))


def grouped(examples: Sequence[Example]) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """What is nearly the same. Texts of ours, and harmless texts with a payload put in, stand alone: they repeat their
    surroundings by design."""
    alone = np.array([bool(each.payload) or each.source.startswith("own:") for each in examples])
    compared = np.flatnonzero(~alone)
    result = np.arange(len(examples), dtype=np.intp)
    result[compared] = compared[groups([examples[at].text for at in compared])]
    return result


def _distinct(examples: Sequence[Example]) -> list[Example]:
    return list({(each.source, each.text): each for each in examples}.values())
