"""Fits what is shipped: both heads on all sources that allow it, and its calibration."""

from guardrail_training.calibrating import calibrated
from guardrail_training.fitting import Settings, fit, text_logits
from guardrail_training.leaving_out import Prepared
from sluice_guardrail.domain.classifying.head import DOCUMENT, HEADS, USER, Head
from sluice_guardrail.domain.classifying.weights import Weights
from sluice_guardrail.domain.model import Channel


def shipped_weights(prepared: Prepared, settings: Settings) -> Weights:
    """The weights and the calibration, as they are written."""
    arrays = {}
    for name in (USER, DOCUMENT):
        chosen = prepared.for_head(name)
        arrays.update(fit(prepared.windows, prepared.examples, chosen, settings).arrays(name))
    stored = Weights(arrays, {})  # what the service will read decides, not what was fitted
    logits = {
        name: text_logits(prepared.windows, Head.of(stored, name), len(prepared.examples))
        for name in (USER, DOCUMENT)
    }
    scales = {
        channel: calibrated(prepared.harmless(channel, logits[HEADS[channel]]), channel)
        for channel in (Channel.USER, Channel.OUTPUT, Channel.DOCUMENT)
    }
    # No public source of tools' results is here, and generated ones are too much like those trained on.
    return Weights(arrays, {**scales, Channel.TOOL: scales[Channel.DOCUMENT]})
