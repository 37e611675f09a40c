"""How a module comes to serve: found by its digest, compiled, looked through, asked for its version and about the
policy's settings, and held to the cases it carries."""

import json
import time
from collections.abc import Sequence
from typing import Annotated
from weakref import WeakValueDictionary

from pydantic import Field, TypeAdapter, ValidationError

from sluice_api.objects.guardrail_policy import WasmKind, WasmPolicy
from sluice_guardrail.wasm.abi import ABI_VERSION, Case, Output, Validity
from sluice_guardrail.wasm.failures import ModuleRefused, PolicyFailed
from sluice_guardrail.wasm.folder import ModulesFolder
from sluice_guardrail.wasm.inspecting import inspect
from sluice_guardrail.wasm.policy import LoadedPolicy, read
from sluice_guardrail.wasm.runtime import Compiled, Limits, Runtime, Verb
from sluice_guardrail.wasm.sections import CASES, custom_section

#: Seconds for a call while a module is loaded, when the machine may be busy and nobody waits for an answer.
_SECONDS = 2.0
#: Cases that a module may carry, and seconds that all of them together may take.
_MOST_CASES, _CASES_SECONDS = 256, 30.0
_CASES = TypeAdapter(Annotated[tuple[Case, ...], Field(max_length=_MOST_CASES)])


class Loader:
    """`Modules` of `domain.modules`. Not thread-safe.

    A module stays loaded while a policy holds it, also one that is no longer in force: what the file says meanwhile
    does not matter.
    """

    def __init__(self, runtime: Runtime, folder: ModulesFolder, *, keep_logs: bool = False) -> None:
        self._runtime = runtime
        self._folder = folder
        self._keep_logs = keep_logs
        self._compiled: WeakValueDictionary[tuple[str, WasmKind], Compiled] = WeakValueDictionary()

    def load(self, policies: Sequence[WasmPolicy]) -> tuple[LoadedPolicy, ...]:
        """The policies' modules.

        Raises:
            ModuleRefused: one of them is not there or may not serve.
        """
        return tuple(self._load(policy) for policy in policies)

    def _load(self, policy: WasmPolicy) -> LoadedPolicy:
        try:
            loaded = LoadedPolicy(policy, self._runtime, self._module(policy), self._keep_logs)
            _accept(self._runtime, loaded)
        except (ModuleRefused, PolicyFailed) as error:
            raise ModuleRefused(
                f"wasm policy {policy.name!r}, module {policy.module[:19]}: {error}"
            ) from error
        return loaded

    def _module(self, policy: WasmPolicy) -> Compiled:
        digest = policy.module.removeprefix("sha256:")
        compiled = self._compiled.get((digest, policy.kind))
        if compiled is None:
            content = self._folder.read(digest)
            compiled = prepare(self._runtime, content, digest, policy)
            self._folder.keep(digest, content)
            self._compiled[digest, policy.kind] = compiled
        return compiled


def prepare(runtime: Runtime, content: bytes, digest: str, policy: WasmPolicy) -> Compiled:
    """A module compiled, looked through and held to its cases.

    Raises:
        ModuleRefused: it may not serve.
        PolicyFailed: it gave no answer to one of its own cases.
    """
    compiled = runtime.compile(content, digest, lambda module: inspect(module, policy.kind))
    limits = Limits(_SECONDS, policy.memory)
    if policy.kind is WasmKind.CORE and (version := runtime.abi_version(compiled, limits)) != ABI_VERSION:
        raise ModuleRefused(f"it speaks version {version} of the policy ABI, not {ABI_VERSION}")
    deadline = time.monotonic() + _CASES_SECONDS
    for case in cases_of(content):
        if time.monotonic() > deadline:
            raise ModuleRefused(f"its own cases take more than {_CASES_SECONDS:.0f} s")
        answer = runtime.ask(
            compiled,
            policy.kind,
            Verb.EVALUATE,
            case.input.model_dump_json().encode(),
            limits,
            case.input.scores,
        )
        if difference := case.difference(read(Output, answer.content)):
            raise ModuleRefused(f"its own case {case.name!r} does not hold: {difference}")
    return compiled


def cases_of(content: bytes) -> tuple[Case, ...]:
    """The cases that a module carries.

    Raises:
        ModuleRefused: what it carries are none.
    """
    carried = custom_section(content, CASES)
    if carried is None:
        return ()
    try:
        return _CASES.validate_json(carried)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ModuleRefused(f"its section {CASES} cannot be read: {where}: {first['msg']}") from error


def _accept(runtime: Runtime, loaded: LoadedPolicy) -> None:
    """Asks about the settings."""
    policy = loaded.spec
    document = json.dumps(policy.settings, ensure_ascii=False).encode()
    answer = runtime.ask(
        loaded.compiled, policy.kind, Verb.VALIDATE, document, Limits(_SECONDS, policy.memory)
    )
    validity = read(Validity, answer.content)
    if not validity.valid:
        raise ModuleRefused(f"it refuses the settings: {validity.message or 'it does not say why'}")
