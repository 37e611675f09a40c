"""A double of vLLM 0.32: chat, completions, adapters, metrics, tokenizer; no model.

`Vllm` is one server, `Settings` its options and its pace, `Faults` what goes wrong. Its frames, errors and names are
held against what a real one was recorded to answer (`tests/contract/test_contract_vllm_double.py`). Three habits of the
real one that are easily forgotten: `unload` takes an adapter's name away and leaves it in memory; an adapter that
memory has dropped is read from its folder again when it is next asked for, one that was loaded in place at every step;
and where that folder is gone by then the whole engine dies.
"""

from doubles.vllm.adapters import Adapter, believing, reading
from doubles.vllm.chat import FINGERPRINT
from doubles.vllm.errors import ApiError, failed
from doubles.vllm.server import Faults, Vllm, serving
from doubles.vllm.settings import Settings
from doubles.vllm.writing import Asked, Call, Request, Writer, Written, drawing, text

__all__ = [
    "FINGERPRINT",
    "Adapter",
    "ApiError",
    "Asked",
    "Call",
    "Faults",
    "Request",
    "Settings",
    "Vllm",
    "Writer",
    "Written",
    "believing",
    "drawing",
    "failed",
    "reading",
    "serving",
    "text",
]
