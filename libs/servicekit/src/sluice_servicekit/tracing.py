"""Traces: one for each run, over all services, carried by W3C `traceparent` in gRPC metadata."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Span, SpanKind, StatusCode

from sluice_servicekit import telemetry_names as names

_TRACER = trace.get_tracer("sluice")

#: What a span is while nothing is exported: a run has some twenty, and OpenTelemetry's own that do nothing cost as much
#: as a call to a service.
_NOTHING: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)


class _State:
    exports = False


Attributes = Mapping[str, str | int | float | bool]


class FileSpanExporter(SpanExporter):
    """Appends each span as one JSON line; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        # One write for each line: appends of a line are atomic on a local file system.
        with self._lock:
            for span in spans:
                self._file.write(
                    json.dumps(json.loads(span.to_json(indent=None)), separators=(",", ":")) + "\n"
                )
                self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        with self._lock:
            self._file.close()


def set_up(service: str, instance: str, traces: str) -> None:
    """Starts exporting spans as `ServiceSettings.traces` says.

    Raises:
        ValueError: `traces` is none of `off`, `otlp`, `file:<path>`.
    """
    if traces == "off":
        return
    resource = Resource.create({"service.name": f"sluice-{service}", "service.instance.id": instance})
    provider = TracerProvider(resource=resource)
    if traces == "otlp":
        # Here, since a start without it is a tenth of a second shorter.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    elif traces.startswith("file:"):
        provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(Path(traces.removeprefix("file:")))))
    else:
        raise ValueError(f"traces is {traces!r}; use off, otlp or file:<path>")
    trace.set_tracer_provider(provider)
    _State.exports = True


def shut_down() -> None:
    """Sends what is still queued."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def span(
    name: str, attributes: Attributes | None = None, *, kind: SpanKind = SpanKind.INTERNAL
) -> AbstractContextManager[Span]:
    """A span around the block; an exception marks it failed and names its type, never its text."""
    return _recorded(name, attributes, kind) if _State.exports else _NOTHING


@contextmanager
def _recorded(name: str, attributes: Attributes | None, kind: SpanKind) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(StatusCode.ERROR)
            current.set_attribute(names.ERROR_TYPE, getattr(error, "reason", type(error).__name__))
            raise


@contextmanager
def continued(carrier: Mapping[str, str], name: str, attributes: Attributes) -> Iterator[Span]:
    """A server's span that continues the caller's trace."""
    with _TRACER.start_as_current_span(
        name,
        context=propagate.extract(carrier),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        yield current


def headers() -> dict[str, str]:
    """What an outgoing call must carry to stay in this trace; empty when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier
