"""Which adapter a request is served by. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import CompiledAdapter, Snapshot
from sluice_gateway.domain.adapting.locales import widening
from sluice_gateway.domain.model import RunRequest
from sluice_servicekit.errors import NotFound, Unavailable

#: Seconds until an adapter that is named and not ready may be there: pods load one in less.
_READY_SOON = 5.0


class Chosen(StrEnum):
    """Who chose."""

    REQUEST = "request"
    """It names the adapter."""
    SELECTORS = "selectors"
    """The request's task and locale."""
    PIPELINE = "pipeline"
    """Its `modelName`."""


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """The adapter that is to write a run's answer."""

    model_name: str
    """The alias; empty for the base model."""
    by: Chosen
    adapter: str = ""
    """The object; empty where the alias is an experiment's own, and for the base model."""
    engine_name: str = ""
    revision: str = ""
    passed_over: tuple[str, ...] = ()
    """Adapters that suit the request better and are not ready."""

    @property
    def key(self) -> str:
        """Tells answers of one adapter and revision from all others: a part of a cache's key."""
        return json.dumps([self.model_name, self.engine_name, self.revision])

    def detail(self) -> dict[str, object]:
        """What the journal keeps of it."""
        return {
            "name": self.adapter,
            "model_name": self.model_name,
            "engine_name": self.engine_name,
            "revision": self.revision,
            "by": str(self.by),
            "passed_over": list(self.passed_over),
        }


def choose(snapshot: Snapshot, pipeline: PipelineSpec, request: RunRequest) -> AdapterChoice | None:
    """The adapter of a request; None where the pipeline's base model answers.

    One that the request names comes first, then the pipeline's `modelName`; where neither names any, the one whose
    selectors fit the request best.

    Raises:
        NotFound: it names one that the pipeline's server does not have for its tenant (`MODEL_NOT_FOUND`).
        Unavailable: the one that it names is not ready (`ADAPTER_NOT_READY`).
    """
    step = pipeline.steps.generate
    if request.adapter:
        return _named(snapshot, step.model_server_ref, request)
    if step.model_name:
        found = snapshot.adapter_of(step.model_server_ref, step.model_name)
        return None if found is None else _choice(*found, Chosen.PIPELINE)
    if not (request.task or request.locale):
        return None
    return _selected(dict(_serving(snapshot, step.model_server_ref, request.principal.tenant)), request)


def choosable(snapshot: Snapshot, pipeline: PipelineSpec, tenant: str) -> list[tuple[str, CompiledAdapter]]:
    """The adapters that a tenant's requests to a pipeline may name, by alias."""
    found = _serving(snapshot, pipeline.steps.generate.model_server_ref, tenant)
    return sorted(found, key=lambda entry: entry[1].model_name)


def _serving(snapshot: Snapshot, model_server: str, tenant: str) -> Iterator[tuple[str, CompiledAdapter]]:
    for name, adapter in snapshot.adapters.items():
        if adapter.model_server == model_server and adapter.serves(tenant):
            yield name, adapter


def _choice(
    name: str, adapter: CompiledAdapter, by: Chosen, passed_over: tuple[str, ...] = ()
) -> AdapterChoice:
    return AdapterChoice(adapter.model_name, by, name, adapter.engine_name, adapter.revision, passed_over)


def _named(snapshot: Snapshot, model_server: str, request: RunRequest) -> AdapterChoice:
    if snapshot.experiment_on(model_server, request.adapter) is not None:
        return AdapterChoice(request.adapter, Chosen.REQUEST)
    tenant, found = request.principal.tenant, snapshot.adapter_of(model_server, request.adapter)
    if found is None or not found[1].serves(tenant):
        there = _serving(snapshot, model_server, tenant)
        known = ", ".join(sorted(adapter.model_name for _, adapter in there)) or "none"
        raise NotFound(
            f"there is no model {request.model!r}; adapters of {request.pipeline!r}: {known}",
            reason="MODEL_NOT_FOUND",
        )
    if found[1].resting:
        raise Unavailable(
            f"the adapter {request.adapter!r} is not ready",
            reason="ADAPTER_NOT_READY",
            retry_after=_READY_SOON,
        )
    return _choice(*found, Chosen.REQUEST)


def _selected(adapters: dict[str, CompiledAdapter], request: RunRequest) -> AdapterChoice | None:
    passed_over: list[str] = []
    for name in _by_fit(adapters, request.task.lower(), request.locale):
        if not adapters[name].resting:
            return _choice(name, adapters[name], Chosen.SELECTORS, tuple(passed_over))
        passed_over.append(name)
    return AdapterChoice("", Chosen.SELECTORS, passed_over=tuple(passed_over)) if passed_over else None


def _by_fit(adapters: dict[str, CompiledAdapter], task: str, locale: str) -> list[str]:
    """Those that fit, best first: one of the task before one of any task, then the nearer language."""
    nearness = {tag: place for place, tag in enumerate(widening(locale))}
    fits = []
    for name, adapter in adapters.items():
        wanted_task, wanted_locale = adapter.selectors.task.lower(), adapter.selectors.locale.lower()
        if not (wanted_task or wanted_locale):
            continue
        if wanted_task not in ("", task) or (wanted_locale and wanted_locale not in nearness):
            continue
        fits.append((not wanted_task, nearness.get(wanted_locale, len(nearness)), name))
    return [name for *_, name in sorted(fits)]
