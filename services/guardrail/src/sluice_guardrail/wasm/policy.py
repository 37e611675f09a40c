"""One loaded policy: asks its module and reads the answer."""

import logging
import time
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Histogram
from pydantic import BaseModel, ValidationError

from sluice_api.objects.guardrail_policy import Action, WasmPolicy
from sluice_guardrail.domain.model import Detection, ScanState
from sluice_guardrail.domain.modules import Question, Ruling
from sluice_guardrail.wasm.abi import Input, Output
from sluice_guardrail.wasm.failures import Failure, PolicyFailed
from sluice_guardrail.wasm.runtime import Answer, Compiled, Limits, Runtime, Verb
from sluice_guardrail.wasm.translating import input_of, ruling_of
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.metrics import LATENCY_BUCKETS

_LOG = logging.getLogger(__name__)
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

M = TypeVar("M", bound=BaseModel)

_SECONDS = Histogram(
    names.GUARD_MODULE_SECONDS,
    "Time of one call of a policy in WebAssembly, by how it came out",
    ("module_policy", "outcome"),
    buckets=LATENCY_BUCKETS,
)


@dataclass(frozen=True)
class LoadedPolicy:
    """`ModulePolicy` of `domain.modules`."""

    spec: WasmPolicy
    runtime: Runtime
    compiled: Compiled
    keep_logs: bool = False
    """Whether what the module logs is written to our log. It may hold texts."""

    @property
    def version(self) -> str:
        """The module's digest, short."""
        return self.compiled.digest[:12]

    def ask(self, question: Question) -> Ruling:
        """Its ruling; a failure is one, of state `FAILED`."""
        started = time.perf_counter()
        outcome = "answered"
        try:
            output = self.evaluate(input_of(question, self.spec))
            return ruling_of(output, question.text.text)
        except PolicyFailed as failed:
            outcome = failed.failure.value
            _LOG.warning("wasm policy %s failed (%s): %s", self.spec.name, failed.failure, failed)
            return Ruling(Action.BLOCK, Detection((), 1.0, ScanState.FAILED, f"{failed.failure}: {failed}"))
        finally:
            _SECONDS.labels(self.spec.name, outcome).observe(time.perf_counter() - started)

    def evaluate(self, given: Input) -> Output:
        """What the module makes of one text.

        Raises:
            PolicyFailed: it gave no answer in time, or none of the schema.
        """
        limits = Limits(self.spec.timeout, self.spec.memory)
        document = given.model_dump_json().encode()
        answer = self.runtime.ask(
            self.compiled, self.spec.kind, Verb.EVALUATE, document, limits, given.scores
        )
        if self.keep_logs:
            self._write(answer)
        return read(Output, answer.content)

    def _write(self, answer: Answer) -> None:
        for level, line in answer.logged:
            _LOG.log(
                _LEVELS[level] if 0 <= level < len(_LEVELS) else logging.INFO, "%s: %s", self.spec.name, line
            )
        if answer.unlogged:
            _LOG.info("%s: %d lines more", self.spec.name, answer.unlogged)


def read(schema: type[M], content: bytes) -> M:
    """An answer by its schema.

    Raises:
        PolicyFailed: it is not of it. The message holds nothing of the answer; the cause does.
    """
    try:
        return schema.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(
            str(part) for part in first["loc"] if isinstance(part, int) or part in schema.model_fields
        )
        raise PolicyFailed(
            Failure.OUTPUT, f"its answer is not of the schema: {where or 'answer'}: {first['type']}"
        ) from error
