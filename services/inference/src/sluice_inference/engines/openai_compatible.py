"""Answers from OpenAI-compatible servers, such as vLLM: one path, streamed, cancelled with the caller."""

import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from sluice_api.objects.model_server import Routing
from sluice_api.snapshot import Endpoint
from sluice_inference.domain import rewriting
from sluice_inference.domain.model import (
    Delta,
    Finish,
    FinishReason,
    Message,
    Prepared,
    Rewriting,
    Rewritten,
    Sampling,
    Task,
)
from sluice_inference.domain.routing import prefixes
from sluice_inference.domain.routing.model import Ask
from sluice_inference.domain.routing.queueing import Priority
from sluice_inference.engines import chat_body, server_facts, upstream
from sluice_inference.engines.api_key import ApiKey
from sluice_inference.engines.client import Client, Path
from sluice_inference.engines.composing import Composer
from sluice_inference.engines.pool import Events, Order, Pool
from sluice_inference.engines.replica import Replica, Room
from sluice_inference.engines.server_facts import ServerFacts
from sluice_inference.engines.tokenizing import LocalTokenizer
from sluice_inference.engines.watching import Watch
from sluice_lexical import unanswerable
from sluice_servicekit.errors import Unavailable

#: Tokens that an answer has, about, where nothing bounds it.
_ANSWER_TOKENS = 512

#: Characters of a token, about.
_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Upstream:
    """What an engine is told of its model server."""

    model: str
    """The model's name where the task names none."""
    endpoints: Sequence[Endpoint]
    routing: Routing
    api_key: ApiKey
    is_vllm: bool = False
    """All of its replicas are known to be; otherwise each is found out from its answers."""
    room: Room = field(default=Room())
    """Of a replica, for adapters."""
    tokenizer: LocalTokenizer | None = None
    """The model's, where there is one."""


class OpenAiCompatibleEngine:
    """Streams from the replicas of a model server. It stays while its server does, whatever changes of it."""

    def __init__(self, name: str, upstream: Upstream) -> None:
        self._pool = Pool(name)
        self._client = Client(upstream.api_key)
        self._asked_for_facts = itertools.count()
        self._composer = Composer(ServerFacts(self._ask))
        self._watch: Watch | None = None
        self.take_over(upstream)

    def take_over(self, upstream: Upstream) -> None:
        """Goes by this from now on. Answers in flight go on, at replicas that have gone too."""
        self._upstream = upstream
        self._client.api_key = upstream.api_key
        self._composer.take_over(upstream.tokenizer)
        self._pool.take_over(upstream.endpoints, upstream.room, upstream.routing)
        for each in self._pool.replicas:
            each.is_vllm = each.is_vllm or upstream.is_vllm
        if self._watch is not None:
            self._watch.interval = upstream.routing.scrape_interval

    @property
    def replicas(self) -> Sequence[Replica]:
        """Those that may be asked, and those that drain."""
        return self._pool.replicas

    def watch(self) -> None:
        """Begins to look at the replicas."""
        self._watch = Watch(self._pool, self._client)
        self._watch.interval = self._upstream.routing.scrape_interval

    async def generate(self, task: Task) -> AsyncGenerator[Prepared | Delta | Finish, None]:
        """The server's answers as they are written; the server is not asked where there is nothing to answer from."""
        model = task.model_name or self._upstream.model
        if not task.passages and not task.uses_tools:
            yield Delta(unanswerable.sentence(task.question))
            yield Finish(FinishReason.STOP, model, unanswerable=True)
            return
        pieces: list[str] = []
        composed = await self._composer.compose(task, model)
        if composed.prepared is not None:
            yield composed.prepared
        messages = composed.messages
        body = chat_body.body(model, messages, task.sampling, task.tools, task.answer_format)
        async with aclosing(self._asked(body, messages, task.tenant, task.priority)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    self._composer.learn(composed, task, model, event)
                    says_so = unanswerable.says_so("".join(pieces))
                    yield replace(event, unanswerable=says_so, prepared=composed.prepared)
                else:
                    if event.text and not event.choice:
                        pieces.append(event.text)
                    yield event

    async def rewrite(self, task: Rewriting) -> Rewritten:
        """The server's first line, or lines, as likely as they can be."""
        sampling = Sampling(temperature=0.0, max_tokens=task.max_tokens)
        messages = rewriting.prompt(task.turns, task.search_queries)
        body = chat_body.body(task.model_name or self._upstream.model, messages, sampling)
        pieces: list[str] = []
        async with aclosing(self._asked(body, messages, task.tenant, task.priority)) as events:
            async for event in events:
                if isinstance(event, Finish):
                    reply, most = "".join(pieces), task.search_queries
                    return Rewritten(
                        "" if most else rewriting.one_line(reply),
                        event.model,
                        event.prompt_tokens,
                        event.completion_tokens,
                        rewriting.several_lines(reply, most),
                    )
                pieces.append(event.text)
        raise Unavailable("the model server's answer broke off", reason="UPSTREAM_TRUNCATED")

    async def look(self) -> None:
        """Looks at the replicas once, now."""
        if self._watch is not None:
            await self._watch.look()

    async def retire(self) -> None:
        """Closes once nothing is in flight any more."""
        await self._pool.is_idle.wait()
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if self._watch is not None:
            await self._watch.close()
        self._pool.close()
        await self._client.close()

    async def _ask(self, path: Path, body: server_facts.Json | None) -> server_facts.Json | None:
        """See `server_facts.Ask`; the replicas take turns, since they are equal."""
        replicas = [each for each in self._pool.replicas if not each.is_draining]
        if not replicas:
            raise Unavailable("there is no replica to ask", reason="NO_REPLICA")
        url = replicas[next(self._asked_for_facts) % len(replicas)].endpoint.url
        return await server_facts.ask(self._client, url, path, body)

    def _asked(
        self, body: chat_body.Json, messages: Sequence[Message], tenant: str, priority: Priority
    ) -> Events:
        if self._upstream.routing.send_priority:
            body["priority"] = int(priority)
        return self._pool.stream(self._order(body, messages, tenant, priority), partial(self._call, body))

    def _order(
        self, body: chat_body.Json, messages: Sequence[Message], tenant: str, priority: Priority
    ) -> Order:
        adapter = "" if body["model"] == self._upstream.model else str(body["model"])
        ask = Ask(adapter)
        if len(self._pool.replicas) > 1:
            parts = (f"{message.role}\n{message.content}" for message in messages)
            ask = Ask(adapter, prefixes.blocks((adapter, tenant), parts))
        read = sum(len(message.content or "") for message in messages) / _CHARACTERS
        return Order(ask, tenant, priority, 1.0 + read + (body.get("max_tokens") or _ANSWER_TOKENS))

    def _call(self, body: chat_body.Json, replica: Replica) -> Events:
        if replica.is_vllm:
            body = {**body, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
        return upstream.stream(self._client, replica.name, replica.endpoint.url, body)
