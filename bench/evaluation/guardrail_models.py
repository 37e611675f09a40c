"""Classifiers from folders in the same harness as the built-in one."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from guardrail_training.calibrating import anchors
from guardrail_training.leaving_out import ROUNDS
from guardrail_training.measuring import Share, area, reached, threshold
from guardrail_training.reading import Example, Role, spaced
from rich.progress import track

from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.model import Channel

_OVER_DEFENSE = ("notinject", "xstest", "wildguard")

#: A text as the classifier is to read it.
Prepare = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One set that no built-in weight was fitted on; what another model was trained on is its authors' to say."""

    name: str
    attack: bool
    area: float | None
    at_one_percent: Share


@dataclass(frozen=True, slots=True)
class Judged:
    """One classifier."""

    name: str
    rows: Sequence[Row]
    calibration: tuple[float, float]
    """Its own scores that one in a hundred and one in a thousand harmless texts reach, as a policy takes them."""


def judged(classifier: Classifier, prepare: Prepare, examples: Iterable[Example], most: int = 300) -> Judged:
    """What a classifier makes of the sets that are only measured, at the threshold that one in a hundred harmless
    users' texts reaches."""
    users = [each for each in examples if each.channel is Channel.USER and each.role is not Role.TRAIN]
    ordinary = spaced([each for each in users if each.role is Role.CALIBRATE and not each.attack], 4 * most)
    harmless = _scores(classifier, prepare, ordinary, f"{classifier.name}: harmless")
    least = threshold(harmless, 0.01)
    rows = []
    for name in (*ROUNDS[-1], *_OVER_DEFENSE):
        texts = spaced([each for each in users if each.source == name], most)
        if texts:
            scores = _scores(classifier, prepare, texts, f"{classifier.name}: {name}")
            attack = texts[0].attack
            rows.append(Row(name, attack, area(scores, harmless) if attack else None, reached(scores, least)))
    _, one_percent, one_permille = anchors(np.array([_logit(score) for score in harmless], np.float32))
    return Judged(classifier.name, rows, (_probability(one_percent), _probability(one_permille)))


def folder(path: Path, examples: Iterable[Example]) -> Judged:
    """The classifier in a folder, uncalibrated; it reads texts as they are written."""
    from sluice_api.objects.guardrail_policy import OnnxClassifier
    from sluice_guardrail.domain.classifying.onnx_folder import FolderModels

    classifier = FolderModels().classifier(OnnxClassifier(path=str(path)), Channel.USER)
    return replace(judged(classifier, lambda text: text, examples), name=path.name)


def _logit(score: float) -> float:
    """What an uncalibrated scale made the score of: one whose anchors all lie at a probability of one half."""
    return 0.5 / (1.0 - score) - 1.0 if score >= 0.5 else 1.0 - 0.1 / max(score, 1e-9)


def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _scores(
    classifier: Classifier, prepare: Prepare, examples: Sequence[Example], title: str
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The worst window of each text."""
    best = []
    for example in track(examples, title, transient=True):
        text = prepare(example.text)
        windows = [text[span.start : span.end] for span in classifier.windows(text)]
        totals = [len(windows)] * len(windows)
        best.append(max(classifier.scores(windows, example.channel, totals), default=0.0))
    return np.array(best, np.float64)


def folders(paths: str) -> list[Path]:
    """Of a list parted by colons."""
    return [Path(path) for path in paths.split(":") if path]
