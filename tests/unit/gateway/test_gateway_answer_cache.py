"""Answers that are given again, and to whom: a run over doubles, its cache in memory."""

import json
from dataclasses import dataclass, field, replace

import pytest

from sluice_api.objects.answer_cache import AnswerCache, ExactCache, SemanticCache
from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.model_server import Extractive, ModelServerSpec
from sluice_api.objects.retrieval import Retrieval
from sluice_api.objects.steps import OnFail
from sluice_gateway.domain.caching.answering import ANY_CACHE, Answering, CacheControl
from sluice_gateway.domain.caching.answers import Answers
from sluice_gateway.domain.coalescing import Coalescer
from sluice_gateway.domain.model import (
    Decision,
    FilterExpression,
    Finding,
    Finish,
    Message,
    Principal,
    RunRequest,
    Sampling,
    ScreenedInput,
    TreatedSegment,
)
from sluice_gateway.domain.outcome import RunFailedError, RunResult
from sluice_gateway.domain.run import RunState, StepState, fold
from sluice_gateway.domain.running import Run
from sluice_servicekit.errors import Internal, Unavailable
from support.experiments import experiment
from support.run_bench import Bench, verdict

EXACT = AnswerCache(exact=ExactCache())
SEMANTIC = AnswerCache(semantic=SemanticCache())

FULL = {"guard_input", "retrieve", "rerank", "guard_passages", "generate", "guard_output"}


def asked(text: str = "How long does kiln 3 take?", **more: object) -> RunRequest:
    given: dict[str, object] = {
        "pipeline": "default",
        "principal": Principal("acme", "ann", ("reader",), ("staff",)),
        "messages": (Message("user", text),),
        "sampling": Sampling(temperature=0),
        **more,
    }
    return RunRequest(**given)  # type: ignore[arg-type]


@dataclass
class Cached:
    """A gateway with a cache; time is still unless it is moved."""

    bench: Bench
    time: float = 0.0
    max_bytes: int = 1 << 20
    results: list[RunResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        executor = self.bench.executor()
        self.answers = Answers(self.max_bytes, lambda: self.time)
        self.answering = Answering(
            executor, lambda: self.bench.snapshot, self.bench.world, self.answers, Coalescer()
        )

    async def ask(
        self, request: RunRequest, control: CacheControl = ANY_CACHE, arm: str | None = None
    ) -> RunResult:
        self.bench.world.calls.clear()
        run = await self.answering.admit(request, control, arm)
        result = await run.result()
        self.results.append(result)
        assert run.cache == result.cache
        return result

    async def word(self, *arguments: object, **more: object) -> str | None:
        """What the cache gave."""
        result = await self.ask(*arguments, **more)  # type: ignore[arg-type]
        return result.cache and result.cache.word

    @property
    def steps(self) -> set[str]:
        return FULL & set(self.bench.world.calls)

    @property
    def last(self):
        """The last run as the journal has it."""
        events = self.bench.journal.events
        return fold([event for event in events if event.run_id == events[-1].run_id])


@pytest.fixture
def cached() -> Cached:
    return Cached(Bench(cache=EXACT))


async def test_same_request_is_answered_again_without_retrieval_or_generation(cached: Cached) -> None:
    first = await cached.ask(asked())
    assert cached.steps == FULL
    cached.time = 12.0
    again = await cached.ask(asked())
    assert cached.steps == {"guard_input"}
    assert (again.text, again.citations, again.usage) == (first.text, first.citations, first.usage)
    assert again.run_id != first.run_id
    assert again.cache is not None
    assert first.cache is not None
    assert (first.cache.word, again.cache.word) == ("miss", "hit")
    assert again.cache.detail() == {"kind": "exact", "run_id": first.run_id, "age_seconds": 12.0}


async def test_hit_is_a_run_in_the_journal_that_names_the_run_it_is_from(cached: Cached) -> None:
    first = await cached.ask(asked())
    missed = cached.last
    await cached.ask(asked())
    run = cached.last
    assert run.state is RunState.ANSWERED
    assert {step.name: step.decision for step in run.steps} == {"cache": "hit", "guard_input": "allow"}
    step = next(step for step in run.steps if step.name == "cache")
    assert json.loads(step.detail)["run_id"] == first.run_id
    assert next(step.decision for step in missed.steps if step.name == "cache") == "miss"
    assert "kiln" not in str(cached.bench.journal.events)


async def test_pipeline_without_a_cache_has_none() -> None:
    cached = Cached(Bench())
    assert [await cached.word(asked()), await cached.word(asked())] == [None, None]
    assert cached.steps == FULL
    assert "epochs" not in cached.bench.world.calls
    assert "cache" not in {step.name for step in cached.last.steps}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(asked("How long does kiln 4 take?"), id="another question"),
        pytest.param(
            asked(principal=Principal("other", "ann", ("reader",), ("staff",))), id="another tenant"
        ),
        pytest.param(asked(principal=Principal("acme", "ann", ("reader",), ())), id="permission revoked"),
        pytest.param(asked(principal=Principal("acme", "ann", ("admin",), ("staff",))), id="another role"),
        pytest.param(asked(sampling=Sampling(temperature=0, max_tokens=5)), id="sampling"),
        pytest.param(asked(retrieval=Retrieval(neighbours=1)), id="retrieval"),
        pytest.param(asked(filter=FilterExpression({"year": 2024})), id="filter"),
        pytest.param(
            asked(messages=(Message("system", "Be brief."), Message("user", "How long does kiln 3 take?"))),
            id="system message",
        ),
        pytest.param(asked("How long does  kiln 3 take?"), id="blanks within"),
    ],
)
async def test_request_that_differs_misses(cached: Cached, other: RunRequest) -> None:
    await cached.ask(asked())
    assert await cached.word(other) == "miss"
    assert cached.steps == FULL
    assert [await cached.word(asked()), await cached.word(other)] == ["hit", "hit"]


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(
            asked(principal=Principal("acme", "bob", ("reader",), ("staff",))), id="another subject"
        ),
        pytest.param(asked("  How long does kiln 3 take?\r\n"), id="blanks around"),
        pytest.param(asked(stream=True), id="streamed"),
    ],
)
async def test_request_that_differs_in_nothing_that_decides_the_answer_hits(
    cached: Cached, same: RunRequest
) -> None:
    await cached.ask(asked())
    assert await cached.word(same) == "hit"


async def test_composed_and_decomposed_letters_are_the_same(cached: Cached) -> None:
    await cached.ask(asked("When does the \u00e9tude begin?"))
    assert await cached.word(asked("When does the e\u0301tude begin?")) == "hit"


async def test_write_to_the_knowledge_base_misses(cached: Cached) -> None:
    await cached.ask(asked())
    cached.bench.world.epoch = "2"
    assert await cached.word(asked()) == "miss"
    assert cached.steps == FULL


async def test_write_while_the_answer_is_made_misses_after_it(cached: Cached) -> None:
    run = await cached.answering.admit(asked())
    cached.bench.world.epoch = (
        "2"  # acknowledged before the run has looked for passages, or after: nobody knows
    )
    await run.result()
    assert await cached.word(asked()) == "miss"


async def test_arm_pipeline_and_policy_that_change_miss(cached: Cached) -> None:
    await cached.ask(asked(), arm="blue")
    assert await cached.word(asked(), arm="green") == "miss"
    assert await cached.word(asked(), arm="blue") == "hit"
    pipeline = cached.bench.snapshot.pipelines["default"]
    changed = pipeline.model_copy(update={"version": "2"})
    cached.bench.snapshot = cached.bench.snapshot.model_copy(update={"pipelines": {"default": changed}})
    assert await cached.word(asked(), arm="blue") == "miss"


async def test_arms_of_an_experiment_share_nothing_and_users_of_one_arm_all() -> None:
    cached = Cached(Bench(cache=EXACT, model_name="support", experiments={"e": experiment()}))
    admin = Principal("acme", "ann", ("admin",))
    new, base = (asked(principal=admin, arm=arm) for arm in ("new", "base"))
    assert [await cached.word(request) for request in (new, base, new, base)] == [
        "miss",
        "miss",
        "hit",
        "hit",
    ]
    result = await cached.ask(new)
    assert (result.experiment, result.arm) == ("e", "new")
    words = [await cached.word(asked(principal=admin, user=f"user-{number}")) for number in range(8)]
    assert set(words) == {"hit"}


async def test_answer_of_several_parts_is_not_kept(cached: Cached) -> None:
    await cached.ask(asked(sampling=Sampling(temperature=0)))
    one = cached.results[-1]
    assert len(cached.answers) == 1
    for number, changes in enumerate(
        ({"fault": "NO_JSON"}, {"refused": True}, {"others": (one.choices[0],)})
    ):
        run = await cached.answering.admit(asked(f"Question {number}?"))
        assert isinstance(run, Run)
        run._serving.keep(replace(one, **changes), ScreenedInput(verdict()), "")
        assert len(cached.answers) == 1


async def test_snapshot_that_changes_between_look_up_and_run_bypasses(cached: Cached) -> None:
    first = await cached.ask(asked())
    before = cached.bench.snapshot
    changed = before.pipelines["default"].model_copy(update={"version": "2"})
    after = before.model_copy(update={"pipelines": {"default": changed}})
    cached.bench.snapshot = after
    run = await replace(cached.answering, snapshot=lambda: before).admit(asked())
    result = await run.result()
    assert result.cache is not None
    assert result.cache.reason == "PIPELINE_CHANGED"
    cached.bench.snapshot = before
    again = await cached.ask(asked())
    assert again.cache is not None
    assert again.cache.run_id == first.run_id  # nothing was kept for the version that the run did not go by


async def test_input_gate_blocks_a_hit(cached: Cached) -> None:
    await cached.ask(asked())
    cached.bench.world.input_verdict = verdict(Decision.BLOCK)
    result = await cached.ask(asked())
    assert (result.state, result.text) == (RunState.BLOCKED, "No.")
    states = {step.name: step.state for step in cached.last.steps}
    assert states == {"cache": StepState.SKIPPED, "guard_input": StepState.SUCCEEDED}


async def test_request_that_the_input_gate_changes_is_answered_anew_and_not_kept(cached: Cached) -> None:
    await cached.ask(asked())
    cached.bench.world.treated = (TreatedSegment(0, "How long does it take [NAME_1]?"),)
    result = await cached.ask(asked())
    assert result.cache is not None
    assert (result.cache.word, result.cache.reason) == ("bypass", "REQUEST_CHANGED")
    assert cached.steps == FULL
    assert cached.bench.world.calls.count("guard_input") == 1
    assert await cached.word(asked("Another?")) == "miss"
    assert await cached.word(asked("Another?")) == "miss"


async def test_flags_come_along_and_the_input_gates_are_those_of_now(cached: Cached) -> None:
    finding = Finding("pii", "EMAIL", 0.9, 0.5, Decision.FLAG, 0, 0, 1, "raw")
    cached.bench.world.output_verdict = replace(verdict(), findings=(finding,))
    first = await cached.ask(asked())
    other = replace(finding, detector="topics")
    cached.bench.world.input_verdict = replace(verdict(), findings=(other,))
    again = await cached.ask(asked())
    assert [flag.finding.detector for flag in first.flags] == ["pii"]
    assert [(flag.step, flag.finding.detector) for flag in again.flags] == [
        ("guard_input", "topics"),
        ("guard_output", "pii"),
    ]


def _leaks(cached: Cached) -> None:
    finding = Finding("leakage", "CANARY", 1.0, 0.5, Decision.FLAG, 0, 0, 1, "raw")
    cached.bench.world.output_verdict = replace(verdict(), findings=(finding,))


def _redacts(cached: Cached) -> None:
    finding = Finding("pii", "EMAIL", 1.0, 0.5, Decision.REDACT, 0, 0, 1, "raw")
    cached.bench.world.output_verdict = replace(verdict(), decision=Decision.REDACT, findings=(finding,))


def _says_the_canary(cached: Cached) -> None:
    cached.bench.world.pieces = ("The word is c4n4ry.",)


def _has_a_vault(cached: Cached) -> None:
    cached.bench.world.vault = b"sealed"


def _is_filtered(cached: Cached) -> None:
    cached.bench.world.finish = Finish("content_filter")


def _is_partly_screened(cached: Cached) -> None:
    cached.bench.world.output_verdict = replace(verdict(), partial=True)


def _leaves_a_leg_out(cached: Cached) -> None:
    cached.bench.world.left_out = ("keyword",)


def _is_screened_by_an_older_policy(cached: Cached) -> None:
    cached.bench.world.output_verdict = replace(verdict(), policy_version="0")


def _is_let_in_by_an_older_policy(cached: Cached) -> None:
    cached.bench.world.input_verdict = replace(verdict(), policy_version="0")


def _is_blocked(cached: Cached) -> None:
    cached.bench.world.output_verdict = verdict(Decision.BLOCK)


@pytest.mark.parametrize(
    "spoil",
    [
        _leaks,
        _redacts,
        _says_the_canary,
        _has_a_vault,
        _is_filtered,
        _is_partly_screened,
        _leaves_a_leg_out,
        _is_blocked,
        _is_screened_by_an_older_policy,
        _is_let_in_by_an_older_policy,
    ],
)
async def test_answer_that_is_not_whole_or_not_clean_is_not_kept(spoil) -> None:
    policy = {"output": {"leakage": {"canary": True, "action": "block"}}}
    cached = Cached(Bench(cache=EXACT, policy=policy))
    spoil(cached)
    await cached.ask(asked())
    assert len(cached.answers) == 0
    assert await cached.word(asked()) == "miss"


async def test_detected_stream_that_the_gate_would_have_blocked_is_not_kept() -> None:
    cached = Cached(Bench(cache=EXACT, streaming=StreamingMode.DETECT))
    cached.bench.world.output_verdict = verdict(Decision.BLOCK)
    result = await cached.ask(asked(stream=True))
    assert result.state is RunState.ANSWERED
    assert len(cached.answers) == 0


async def test_degraded_and_failed_runs_are_not_kept(cached: Cached) -> None:
    cached.bench.world.fail["rerank"] = [Internal("broken")]
    assert (await cached.ask(asked())).state is RunState.DEGRADED
    cached.bench.world.fail["generate"] = [Internal("broken")]
    with pytest.raises(RunFailedError):
        await cached.ask(asked())
    assert len(cached.answers) == 0


@pytest.mark.parametrize(
    ("server", "sampled", "temperature", "word"),
    [
        (None, False, None, "bypass"),
        (None, False, 0.7, "bypass"),
        (None, True, 0.7, "hit"),
        (None, False, 0.0, "hit"),
        (ModelServerSpec(extractive=Extractive()), False, None, "hit"),
    ],
)
async def test_sampled_answers_are_kept_only_where_the_pipeline_allows(
    server, sampled, temperature, word
) -> None:
    cached = Cached(Bench(cache=AnswerCache(exact=ExactCache(), sampled=sampled), server=server))
    request = asked(sampling=Sampling(temperature=temperature))
    await cached.ask(request)
    assert await cached.word(request) == word
    assert len(cached.answers) == (word == "hit")


async def test_cache_control_has_it_answered_anew(cached: Cached) -> None:
    await cached.ask(asked())
    cached.bench.world.pieces = ("Changed [1].",)
    no_store = await cached.ask(asked(), CacheControl.read("no-store"))
    assert no_store.text.startswith("Changed")
    assert not (await cached.ask(asked())).text.startswith("Changed")
    no_cache = await cached.ask(asked(), CacheControl.read("max-age=0, No-Cache"))
    assert no_cache.cache is not None
    assert (no_cache.cache.word, no_cache.cache.reason) == ("bypass", "NO_CACHE")
    assert (await cached.ask(asked())).text.startswith("Changed")


@pytest.mark.parametrize(
    ("epoch", "failure", "reason"), [("", [], "EPOCH_UNKNOWN"), ("1", [Unavailable("gone")], "UNAVAILABLE")]
)
async def test_without_epochs_nothing_is_kept_and_the_run_goes_on(epoch, failure, reason) -> None:
    cached = Cached(Bench(cache=EXACT))
    cached.bench.world.epoch = epoch
    cached.bench.world.fail["epochs"] = failure
    result = await cached.ask(asked())
    assert result.state is RunState.ANSWERED
    assert result.cache is not None
    assert (result.cache.word, result.cache.reason) == ("bypass", reason)
    assert len(cached.answers) == 0


async def test_request_with_something_that_cannot_be_compared_bypasses(cached: Cached) -> None:
    result = await cached.ask(asked(filter=FilterExpression(object())))
    assert result.cache is not None
    assert result.cache.reason == "NOT_COMPARABLE"


async def test_answer_grows_too_old(cached: Cached) -> None:
    await cached.ask(asked())
    cached.time = 300.0
    assert await cached.word(asked()) == "hit"
    cached.time = 300.1
    assert await cached.word(asked()) == "miss"
    assert await cached.word(asked()) == "hit"


async def test_answer_that_nobody_may_be_given_any_more_does_not_stay_in_memory() -> None:
    cached = Cached(Bench(cache=AnswerCache(exact=ExactCache(), semantic=SemanticCache())))
    await cached.ask(asked())
    cached.bench.world.epoch = "2"
    cached.time = 301.0
    await cached.ask(asked("Another?"))
    assert len(cached.answers) == 1


async def test_number_of_answers_is_bounded_and_the_unused_go_first() -> None:
    cached = Cached(Bench(cache=AnswerCache(exact=ExactCache(max_entries=2))))
    for text in ("One?", "Two?", "One?", "Three?"):
        await cached.ask(asked(text))
    assert [await cached.word(asked(text)) for text in ("One?", "Three?", "Two?")] == ["hit", "hit", "miss"]
    assert len(cached.answers) == 2


async def test_bytes_are_bounded_and_what_is_too_large_is_not_kept() -> None:
    cached = Cached(Bench(cache=EXACT), max_bytes=10_000)
    for number in range(9):
        await cached.ask(asked(f"Number {number}?"))
        assert await cached.word(asked("Number 0?")) == "hit"  # and so stays
    assert 0 < cached.answers.bytes <= 10_000
    assert len(cached.answers) < 9
    cached.bench.world.pieces = ("x" * 20_000,)
    await cached.ask(asked("Large?"))
    assert await cached.word(asked("Large?")) == "miss"


async def test_question_in_other_words_is_answered_where_vector_and_facts_agree() -> None:
    cached = Cached(Bench(cache=SEMANTIC))
    near, far = asked("What does kiln 3 take, how long?"), asked("Kiln 3: how long does it take?")
    cached.bench.world.sentences = {
        "How long does kiln 3 take?": (1.0, 0.0),
        near.question: (0.96, 0.28),
        far.question: (0.94, 0.34),
    }
    first = await cached.ask(asked())
    assert "sentence" not in cached.bench.world.calls  # nothing to compare with yet
    hit = await cached.ask(near)
    assert hit.cache is not None
    assert (hit.cache.word, hit.cache.run_id, hit.cache.similarity) == ("semantic", first.run_id, 0.96)
    assert cached.steps == {"guard_input"}
    assert await cached.word(far) == "miss"


@pytest.mark.parametrize(
    "other",
    [
        asked("How long does kiln 4 take?"),
        asked(principal=Principal("acme", "ann", ("reader",), ())),
        asked(principal=Principal("other", "ann", ("reader",), ("staff",))),
        asked(
            messages=(
                Message("user", "Hello"),
                Message("assistant", "Hello"),
                Message("user", "How long does kiln 3 take?"),
            )
        ),
    ],
)
async def test_semantic_hit_needs_the_same_facts_and_reader_and_one_turn(other: RunRequest) -> None:
    cached = Cached(Bench(cache=SEMANTIC))
    await cached.ask(asked())
    assert await cached.word(other) == "miss"


async def test_semantic_hit_needs_the_same_epoch() -> None:
    cached = Cached(Bench(cache=SEMANTIC))
    await cached.ask(asked())
    cached.bench.world.epoch = "2"
    assert await cached.word(asked("Kiln 3 takes how long?")) == "miss"


async def test_vectors_of_different_models_are_not_compared() -> None:
    cached = Cached(Bench(cache=SEMANTIC))
    other = asked("Kiln 3 takes how long?")
    cached.bench.world.sentences = {asked().question: (1.0, 0.0), other.question: (1.0, 0.0, 0.0)}
    await cached.ask(asked())
    assert await cached.word(other) == "miss"


async def test_vectors_that_cannot_be_had_cost_the_hit_not_the_run() -> None:
    cached = Cached(Bench(cache=SEMANTIC))
    await cached.ask(asked())
    cached.bench.world.fail["sentence"] = [Unavailable("gone")]
    result = await cached.ask(asked("Kiln 3 takes how long?"))
    assert result.state is RunState.ANSWERED
    assert result.cache is not None
    assert result.cache.reason == "UNAVAILABLE"


async def test_degrading_rewrite_is_not_kept() -> None:
    cached = Cached(Bench(cache=EXACT, rewrite=OnFail.DEGRADE))
    cached.bench.world.fail["rewrite"] = [Internal("broken")]
    turns = (
        Message("user", "Where is the kiln?"),
        Message("assistant", "There."),
        Message("user", "Why there?"),
    )
    await cached.ask(asked(messages=turns))
    assert len(cached.answers) == 0
