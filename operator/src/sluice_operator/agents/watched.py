"""One pod, and what its agent has last said."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from sluice_operator.agents import messages, troubles
from sluice_operator.agents.client import AgentClient
from sluice_operator.agents.facts import Facts
from sluice_operator.agents.settings import FleetSettings
from sluice_operator.agents.tokens import Tokens
from sluice_operator.agents.views import AgentView, PodView, Trouble, Version
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.kinds.model_server import names
from sluice_operator.reconciling.wakeups import within
from sluice_servicekit.errors import Internal, ServiceError

_LOG = logging.getLogger(__name__)

#: A look that takes longer than this gives its turn to others, and goes on.
_TURN_SECONDS = 0.5
_FIRST_RETRY_SECONDS = 0.5

#: Told of each new view with the one before it, and whether a call has brought it about, whose end is told elsewhere.
Changed = Callable[["WatchedPod", AgentView | None, bool], None]


class WatchedPod:
    """Looks at its agent again and again, and adds what calls have done in between.

    Args:
        manifest: What the API server says of it.
        model_server: Whose replica it is.
        tokens: Gives agents' tokens.
        turn: Bounds the looks at all pods.
        settings: Paces.
        changed: Told when the agent says something new.
    """

    def __init__(
        self,
        manifest: Manifest,
        model_server: str,
        tokens: Tokens,
        turn: AbstractAsyncContextManager[object],
        settings: FleetSettings,
        changed: Changed,
    ) -> None:
        self.facts = facts = Facts.of(manifest)
        self.model_server = model_server
        self._manifest = manifest
        self.agent: AgentView | None = None
        self._tokens = tokens
        self._turn = turn
        self._settings = settings
        self._changed = changed
        self._client: AgentClient | None = None
        self._due = asyncio.Event()
        self._failures = 0
        self._boot = 0
        self._last: tuple[bytes, AgentView] | None = None
        #: What calls have done, by name, with when: a status that was asked for before does not have it.
        self._loads: dict[str, tuple[float, Version | None]] = {}
        self._view: PodView | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._watch(), name=f"agent of {facts.namespace}/{facts.name}")

    @property
    def client(self) -> AgentClient | None:
        """Calls the agent; none while the pod has no address."""
        facts = self.facts
        if self._client is None and facts.address:
            host = f"[{facts.address}]" if ":" in facts.address else facts.address
            self._client = AgentClient(
                f"{host}:{self._settings.port}", self._tokens, facts.namespace, self.model_server
            )
        return self._client

    @property
    def view(self) -> PodView:
        """The pod as plans read it."""
        if self._view is None:
            facts = self.facts
            self._view = PodView(
                uid=facts.uid,
                name=facts.name,
                address=facts.address,
                restarts=facts.restarts,
                ready=facts.ready,
                leaving=facts.leaving,
                node=facts.node,
                agent=self.agent,
            )
        return self._view

    @property
    def boot(self) -> object:
        """Another one after the engine has restarted: what was done before that is undone."""
        return self._boot

    async def close(self) -> None:
        """Ends all calls."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._client:
            await self._client.close()

    def seen(self, manifest: Manifest) -> bool:
        """Takes over what the API server says now; false where it is nothing new."""
        if manifest is self._manifest:
            return False
        self._manifest = manifest
        facts = Facts.of(manifest)
        if facts == self.facts:
            return False
        if (facts.restarts, facts.address) != (self.facts.restarts, self.facts.address):
            self._boot += 1
            self.agent = self._last = None
            self._loads.clear()
        if facts.address != self.facts.address and self._client:
            self._leaving.add(closing := asyncio.create_task(self._client.close()))
            closing.add_done_callback(self._leaving.discard)
            self._client = None
        self.facts = facts
        self._view = None
        self.look()
        return True

    def look(self) -> None:
        """Has the agent asked at once."""
        self._failures = 0
        self._due.set()

    def loaded(self, name: str, version: Version, boot: object) -> None:
        """A call has made sure that the engine lists a name."""
        self._note(name, version, boot)

    def unloaded(self, name: str, boot: object) -> None:
        """A call has made sure that the engine does not list a name."""
        self._note(name, None, boot)

    def resolved(self, version: Version) -> None:
        """A call has brought files here."""
        if self.agent and version not in self.agent.here:
            self._say(replace(self.agent, here=self.agent.here | {version}), own=True)

    def trouble(self, error: ServiceError) -> Trouble:
        """Why a call failed."""
        facts = self.facts
        return troubles.of(
            error,
            f"{facts.address}:{self._settings.port} (pod {facts.name})",
            f"{facts.namespace}/{names.agent_secret(self.model_server)}",
        )

    def _note(self, name: str, version: Version | None, boot: object) -> None:
        if boot != self._boot:
            return
        self._loads[name] = time.monotonic(), version
        if self.agent:
            self._say(messages.with_changes(self.agent, {name: version}), own=True)

    def _say(self, agent: AgentView, *, own: bool = False) -> None:
        before, self.agent, self._view = self.agent, agent, None
        if agent is not before and agent != before:
            self._changed(self, before, own)

    async def _watch(self) -> None:
        while True:
            self._due.clear()
            try:
                if client := self.client:
                    await self._look(client)
            except Exception:
                _LOG.exception("an adapter agent could not be looked at")  # and is looked at again
                self._failures += 1
            wait = self._settings.interval * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the looks
            if self._failures:
                wait = min(wait, _FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10))
            await within(self._due, wait)

    async def _look(self, client: AgentClient) -> None:
        boot = self._boot
        asking: asyncio.Task[AgentView] | None = None
        try:
            async with self._turn:
                asked = time.monotonic()
                asking = asyncio.create_task(self._ask(client))
                await asyncio.wait({asking}, timeout=_TURN_SECONDS)
            await asyncio.wait({asking})
        finally:
            if asking:
                asking.cancel()  # does nothing once it has ended
        if boot != self._boot or asking.cancelled():  # gRPC cancels whoever waits on a channel that is closed
            self._due.set()
            return
        view = asking.result()
        self._failures = 0 if view.reachable else self._failures + 1
        self._loads = {name: done for name, done in self._loads.items() if done[0] >= asked}
        later = {name: version for name, (_, version) in self._loads.items()}
        self._say(messages.with_changes(view, later) if later and view.reachable else view)

    async def _ask(self, client: AgentClient) -> AgentView:
        try:
            said = await client.status(self._settings.status_seconds)
            digest = hashlib.blake2b(said, digest_size=16).digest()
            if self._last is None or self._last[0] != digest:
                self._last = digest, messages.view(said)
            return self._last[1]
        except ServiceError as error:
            return AgentView(reachable=False, trouble=self.trouble(error))
        except Exception as error:
            _LOG.exception("the status of an adapter agent cannot be read")
            message = f"its status cannot be read: {type(error).__name__}"
            return AgentView(reachable=False, trouble=self.trouble(Internal(message)))
