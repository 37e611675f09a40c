"""Fits what is shipped: both heads on all sources that allow it, and its calibration."""

from collections.abc import Sequence

import numpy as np
from guardrail_corpus.generating import corpus

from guardrail_training.calibrating import calibrated
from guardrail_training.fitting import Settings, fit, text_logits
from guardrail_training.leaving_out import Prepared
from guardrail_training.reading import Example, Role
from guardrail_training.windows import Encoder
from sluice_guardrail.domain.classifying.head import DOCUMENT, HEADS, USER, Head
from sluice_guardrail.domain.classifying.weights import Weights
from sluice_guardrail.domain.model import Channel

#: Results of tools are generated anew for calibration; no public source of them is here.
_OTHER_SEED = 1


def shipped_weights(
    prepared: Prepared, encoder: Encoder, settings: Settings, tools: Sequence[Example] | None = None
) -> Weights:
    """The weights and the calibration, as they are written.

    Args:
        tools: Harmless results of tools; generated where not given.
    """
    arrays = {}
    for name in (USER, DOCUMENT):
        chosen = prepared.for_head(name)
        arrays.update(fit(prepared.windows, prepared.examples, chosen, settings).arrays(name))
    stored = Weights(arrays, {})  # what the service will read decides, not what was fitted
    logits = {
        name: text_logits(prepared.windows, Head.of(stored, name), len(prepared.examples))
        for name in (USER, DOCUMENT)
    }
    harmless = {
        channel: logits[HEADS[channel]][prepared.calibrating(channel)]
        for channel in (Channel.USER, Channel.OUTPUT, Channel.DOCUMENT)
    }
    results = _tool_texts() if tools is None else tools
    harmless[Channel.TOOL] = harmless[Channel.DOCUMENT]
    if results:
        own = text_logits(encoder.windows(results), Head.of(stored, DOCUMENT), len(results))
        harmless[Channel.TOOL] = np.concatenate([harmless[Channel.DOCUMENT], own])
    return Weights(arrays, calibrated(harmless))


def _tool_texts() -> list[Example]:
    return [
        Example(each.text, "own:tool-calibration", Role.CALIBRATE, Channel.TOOL, attack=False)
        for each in corpus(_OTHER_SEED)
        if each.channel == "tool"
    ]
