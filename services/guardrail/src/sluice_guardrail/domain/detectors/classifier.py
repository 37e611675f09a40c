"""Attacks by what a classifier makes of a text, window by window, in the time that there is."""

import logging
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from sluice_api.objects.guardrail_policy import Action
from sluice_api.objects.guardrail_policy import Detector as DetectorSpec
from sluice_guardrail.domain.classifying import memory, sheet
from sluice_guardrail.domain.classifying.allowance import Allowance, Pace
from sluice_guardrail.domain.classifying.memory import Memory
from sluice_guardrail.domain.classifying.readers import Reader
from sluice_guardrail.domain.classifying.sentences import sentences
from sluice_guardrail.domain.classifying.sheet import Run, Sheet
from sluice_guardrail.domain.classifying.windows import Window, windows
from sluice_guardrail.domain.model import Channel, Detection, ScanState
from sluice_guardrail.domain.normalising.views import VERSION
from sluice_guardrail.domain.texts import Text

_LOG = logging.getLogger(__name__)

#: Windows that are read at a time, and between two looks at the clock.
_BATCH = 4
#: What one in a hundred harmless texts reaches; lower scores are no findings, unless a policy says so.
_FINDING = 0.3
#: Channels whose texts are parted into what may be read and what may not: there a finding is cut to sentences.
_PARTED = frozenset({Channel.DOCUMENT, Channel.TOOL})
#: Sentences of a finding that are looked at for this; one that has more stays whole.
_MOST_SENTENCES = 16
#: Channels whose texts come again: what was said of them outlives the process.
_LASTING = frozenset({Channel.DOCUMENT})


class ClassifierDetector:
    """Reads all windows of a text, the suspicious ones first, and stops where a block is certain or time is up."""

    name: ClassVar[str] = "prompt-injection-classifier"

    def __init__(self, reader: Reader, spec: DetectorSpec, remembered: Memory) -> None:
        """`spec`: the policy's words on this detector."""
        self._reader = reader
        self._memory = remembered
        self._threshold = spec.threshold
        self._blocks = spec.action is Action.BLOCK
        limits = (_FINDING, spec.threshold, spec.flag_threshold)
        self._floor = min(limit for limit in limits if limit is not None)
        self._pace = Pace()
        self.version = reader.version
        self.threshold_set = reader.threshold_set

    def detect(self, subject: Text) -> Detection:
        """All there is to find, however long it takes."""
        return self.detect_within([subject], Allowance.endless())[0]

    def detect_within(self, subjects: Sequence[Text], allowance: Allowance) -> list[Detection]:
        """What can be found in time, in the order of the texts. They share one channel."""
        detections = [self._remembered(text) for text in subjects]
        missing = [index for index, known in enumerate(detections) if known is None]
        for index, detection in zip(
            missing, self._read([subjects[i] for i in missing], allowance), strict=True
        ):
            detections[index] = detection
            if detection.state is ScanState.SCANNED:
                text = subjects[index]
                self._memory.put(self._key(text), detection, lasting=text.channel in _LASTING)
        return [detection for detection in detections if detection is not None]

    def _remembered(self, text: Text) -> Detection | None:
        return self._memory.get(self._key(text), lasting=text.channel in _LASTING)

    def _key(self, text: Text) -> bytes:
        reader = f"{self.version}/views-{VERSION}"
        return memory.key(text.text, reader, self.threshold_set, str(text.channel), self._floor)

    def _read(self, texts: Sequence[Text], allowance: Allowance) -> list[Detection]:
        if not texts:
            return []
        try:
            sheets = [Sheet(windows(text, self._reader.cut)) for text in texts]
            blocked = self._fill(sheets, texts[0].channel, allowance)
            return [self._detection(each, texts[0].channel, allowance, blocked=blocked) for each in sheets]
        except (
            Exception
        ) as error:  # whatever a model does, the check goes on and says that it was not scanned
            where = "".join(traceback.format_tb(error.__traceback__, -3))  # its message may hold the text
            _LOG.error("the classifier %s failed with %s at\n%s", self.version, type(error).__name__, where)
            return [Detection((), 0.0, ScanState.FAILED, type(error).__name__) for _ in texts]

    def _fill(self, sheets: Sequence[Sheet], channel: Channel, allowance: Allowance) -> bool:
        """Reads windows until all are read, time is up, or a block is certain; True for the last."""
        places = self._order(sheets, allowance)
        at = 0
        while at < len(places) and (count := self._pace.fitting(allowance.left, _BATCH)):
            batch = places[at : at + count]
            at += count
            scores = self._scores([place.window for place in batch], channel)
            for place, score in zip(batch, scores, strict=True):
                place.sheet.scores[place.index] = score
            if self._blocks and max(scores) >= self._threshold and not allowance.each:
                return True
        return False

    def _order(self, sheets: Sequence[Sheet], allowance: Allowance) -> "list[_Place]":
        places = [_Place(each, index) for each in sheets for index in range(len(each.windows))]
        if len(places) <= _BATCH or allowance.ahead:
            return places
        suspicion = self._reader.suspicion([place.window for place in places])
        ranks = sorted(range(len(places)), key=lambda index: -suspicion[index])
        return [places[rank] for rank in ranks]

    def _scores(self, read: Sequence[Window], channel: Channel) -> Sequence[float]:
        started = time.monotonic()
        scores = self._reader.scores(read, channel)
        self._pace.note(time.monotonic() - started, len(read))
        return scores

    def _detection(self, read: Sheet, channel: Channel, allowance: Allowance, *, blocked: bool) -> Detection:
        runs = read.runs(self._floor)
        if channel in _PARTED:
            runs = [self._cut_to_sentences(run, channel) if allowance.left > 0 else run for run in runs]
        state, detail = ScanState.SCANNED, ""
        if not read.complete:
            state = ScanState.PARTIAL if read.scores or not blocked else ScanState.SKIPPED
            detail = f"{len(read.scores)} of {len(read.windows)} windows read"
        return Detection(tuple(sheet.findings(runs)), round(read.score, 4), state, detail)

    def _cut_to_sentences(self, run: Run, channel: Channel) -> Run:
        """A run without the sentences at its ends that show nothing by themselves."""
        window = run.window
        parts = [
            replace(window, start=span.start, end=span.end)
            for span in sentences(window.view.text, window.start, window.end)
        ]
        if not 1 < len(parts) <= _MOST_SENTENCES:
            return run
        scores = self._reader.scores(parts, channel)
        shown = [part for part, score in zip(parts, scores, strict=True) if score >= self._floor]
        return Run(replace(window, start=shown[0].start, end=shown[-1].end), run.score) if shown else run


@dataclass(frozen=True, slots=True)
class _Place:
    """One window of one text."""

    sheet: Sheet
    index: int

    @property
    def window(self) -> Window:
        return self.sheet.windows[self.index]
