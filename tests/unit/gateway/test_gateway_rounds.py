"""Rounds of a run over doubles: what is looked for again, when, and what the journal says of it."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from sluice_api.objects.rounds import Enough, Rounds
from sluice_api.objects.steps import OnFail
from sluice_gateway.domain.model import Decision, Message, Principal, RunRequest, TreatedSegment
from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.domain.recording import digest
from sluice_gateway.domain.run import RunState
from sluice_gateway.domain.stepping import Stepper
from sluice_servicekit.errors import Unavailable
from support.passages import Passage
from support.run_bench import Bench, verdict

QUESTION = "Where is the Corrib lathe made and how long may the Dunmore loom run?"
ONE, OTHER = "Where is the Corrib lathe made", "how long may the Dunmore loom run?"

LATHE = Passage("lathe.md", "Corrib lathe", "c1", text="The Corrib lathe is made in Turin.")
LOOM = Passage("loom.md", "Dunmore loom", "c2", text="How long the Dunmore loom may run: for 120 hours.")
NOISE = [Passage(f"n{i}.md", "Corrib lathe", f"n{i}", text="Corrib lathe care.") for i in range(8)]

TWO = Rounds(max_rounds=2)


def _library(query: str) -> Sequence[Passage]:
    """The loom is found only by who asks for it alone."""
    return [LOOM] if query == OTHER else [LATHE, *NOISE]


def _bench(rounds: Rounds = TWO, **changes: object) -> Bench:
    bench = Bench(rounds=rounds, **changes)
    bench.world.library = _library
    return bench


def _request(text: str = QUESTION) -> RunRequest:
    return RunRequest("default", Principal("acme"), (Message("user", text),))


async def _answer(bench: Bench, text: str = QUESTION) -> RunResult:
    return await bench.executor().admit(_request(text)).result()


def _steps(bench: Bench) -> list[str]:
    return [step.name for step in bench.record.steps]


def _detail(bench: Bench, name: str) -> dict[str, object]:
    return next(json.loads(step.detail) for step in bench.record.steps if step.name == name)


def _told(bench: Bench, name: str) -> tuple[str, str]:
    return next((step.decision, step.reason) for step in bench.record.steps if step.name == name)


def _read(bench: Bench) -> list[str]:
    """The chunks that the model was given."""
    return [passage.chunk_id for passage in bench.world.prompt.passages]


async def test_thin_evidence_takes_a_second_round_that_finds_what_the_first_missed():
    bench = _bench()
    result = await _answer(bench)
    assert result.state is RunState.ANSWERED
    assert sorted(_steps(bench)[:2]) == ["guard_input", "retrieve"]
    assert _steps(bench)[2:] == [
        "rerank",
        "evidence",
        "retrieve.2",
        "rerank.2",
        "evidence.2",
        "guard_passages",
        "generate",
        "guard_output",
    ]
    assert _told(bench, "evidence") == ("thin", "LOOKS_AGAIN (split)")
    assert _told(bench, "evidence.2") == ("enough", "")
    assert {"c1", "c2"} <= set(_read(bench)[:3])
    assert len(_read(bench)) == 5


async def test_journal_has_scores_and_hashes_of_every_round_and_no_content():
    bench = _bench()
    await _answer(bench)
    first = _detail(bench, "evidence")
    assert (first["coverage"], first["by_part"], first["next"]) == (0.0, [1.0, 0.0], "split")
    assert (first["short_of"], first["passages"]) == (["coverage"], 5)
    second = _detail(bench, "retrieve.2")
    assert second["query_hashes"] == [digest(ONE), digest(OTHER)]
    assert (second["how"], second["passages"]) == ("split", 10)
    assert _detail(bench, "rerank.2")["scored"] == 10
    written = str(bench.journal.events)
    for content in ("Corrib", "Dunmore", "Turin"):
        assert content not in written


async def test_each_part_is_ranked_by_itself():
    bench = _bench()
    await _answer(bench)
    assert bench.world.calls.count("rerank") == 3
    assert [search.query for search in bench.world.searches] == [QUESTION, ONE, OTHER]


async def test_enough_evidence_ends_the_rounds_at_once():
    bench = _bench()
    await _answer(bench, ONE)
    assert _steps(bench)[3:5] == ["evidence", "guard_passages"]
    assert _told(bench, "evidence") == ("enough", "")


async def test_pipeline_of_one_round_has_no_evidence_test():
    bench = _bench(Rounds())
    await _answer(bench)
    assert "evidence" not in _steps(bench)


async def test_rounds_end_at_the_last():
    bench = _bench(Rounds(max_rounds=3, enough=Enough(passages=50)))
    await _answer(bench)
    names = [name for name in _steps(bench) if name.startswith("evidence")]
    assert names == ["evidence", "evidence.2", "evidence.3"]
    assert _told(bench, "evidence.2") == ("thin", "LOOKS_AGAIN (title)")
    assert _told(bench, "evidence.3") == ("thin", "ROUNDS_USED")
    queries = [search.query for search in bench.world.searches]
    assert queries[:3] == [QUESTION, ONE, OTHER]
    assert len(queries) == 4
    assert queries[3] in (f"{ONE} Corrib lathe", f"{ONE} Dunmore loom")


async def test_rules_that_know_nothing_new_end_the_rounds():
    bench = _bench()
    bench.world.library = lambda query: []
    await _answer(bench, "Where is the lathe made?")
    assert _told(bench, "evidence") == ("thin", "NOTHING_NEW")
    assert "retrieve.2" not in _steps(bench)


async def test_no_round_is_begun_without_time_for_it_and_the_answer():
    # Each of the steps that follow could begin, but not all of them one after the other.
    bench = _bench(timeout=60.0, policies={name: {"needs": 40.0} for name in ("retrieve", "generate")})
    result = await _answer(bench)
    assert result.state is RunState.ANSWERED
    assert _told(bench, "evidence") == ("thin", "NO_TIME_LEFT")


async def test_later_round_that_fails_leaves_the_passages_of_the_first():
    bench = _bench(retries=0)
    bench.world.fail["retrieve"] = []
    _fail_from(bench, "retrieve", 1)
    result = await _answer(bench)
    assert (result.state, bench.record.reason) == (RunState.DEGRADED, "retrieve.2: UNAVAILABLE")
    assert _read(bench)[0] == "c1"
    assert "evidence.2" not in _steps(bench)


def _fail_from(bench: Bench, name: str, first: int) -> None:
    """Calls of a service fail from the given one on."""
    world_step = bench.world.step

    async def step(called: str) -> None:
        if called == name and bench.world.calls.count(name) >= first:
            bench.world.calls.append(name)
            raise Unavailable("gone")
        await world_step(called)

    bench.world.step = step


async def test_later_reranking_that_fails_keeps_the_retrievers_order():
    bench = _bench(retries=0)
    _fail_from(bench, "rerank", 1)
    result = await _answer(bench)
    assert (result.state, bench.record.reason) == (RunState.DEGRADED, "rerank.2: UNAVAILABLE")
    assert {"c1", "c2"} <= set(_read(bench))


async def test_legs_left_out_are_told_of_every_round():
    bench = _bench()
    bench.world.left_out = ("keyword",)
    await _answer(bench)
    assert bench.record.reason == ("retrieve: LEGS_LEFT_OUT (keyword); retrieve.2: LEGS_LEFT_OUT (keyword)")


async def test_run_without_passages_has_no_rounds():
    bench = _bench(policies={"retrieve": {"on_fail": OnFail.CATCH_GENERATE}}, retries=0)
    _fail_from(bench, "retrieve", 0)
    result = await _answer(bench)
    assert result.state is RunState.DEGRADED
    assert sorted(_steps(bench)) == ["generate", "guard_input", "guard_output", "retrieve"]


async def test_engine_is_asked_where_there_is_one_and_sees_what_was_screened():
    bench = _bench(rewrite=OnFail.DEGRADE, policy={"input": {"pii": {"action": "redact"}}})
    screened = f"[EMAIL_1] asks: {QUESTION}"
    bench.world.treated = (TreatedSegment(0, screened),)
    bench.world.rewordings = (OTHER, "nothing to do with that", OTHER)
    await _answer(bench, f"a@example.org asks: {QUESTION}")
    assert bench.world.reworded == [screened]
    assert [search.query for search in bench.world.searches] == [screened, OTHER]
    assert _told(bench, "evidence") == ("thin", "LOOKS_AGAIN (rewrite)")
    assert _detail(bench, "rewrite.2")["query_hashes"] == [digest(OTHER)]
    assert _steps(bench).index("rewrite.2") == _steps(bench).index("evidence") + 1
    assert not [call for call in bench.world.queries if "example.org" in str(call)]


@pytest.mark.parametrize("fails", [False, True])
async def test_engine_that_gives_nothing_leaves_it_to_the_rules(fails: bool):
    bench = _bench(rewrite=OnFail.DEGRADE, retries=0)
    if fails:
        bench.world.fail["reword"] = [Unavailable("gone")]
    result = await _answer(bench)
    assert [search.query for search in bench.world.searches] == [QUESTION, ONE, OTHER]
    assert result.state is (RunState.DEGRADED if fails else RunState.ANSWERED)
    assert bench.record.reason == ("rewrite.2: UNAVAILABLE" if fails else "")


async def test_blocked_question_has_no_round():
    bench = _bench()
    bench.world.input_verdict = verdict(Decision.BLOCK)
    assert (await _answer(bench)).state is RunState.BLOCKED
    assert len(bench.world.searches) <= 1


class Kept:
    """Outputs of a run before, as a durable executor keeps them."""

    def __init__(self, outputs: dict[str, object]) -> None:
        self.outputs = outputs
        self.order: list[str] = []

    async def once(self, step: str, work: Callable[[], Awaitable[object]]) -> object:
        assert step not in self.order, "names of steps are unique"
        self.order.append(step)
        if step not in self.outputs:
            self.outputs[step] = await work()
        return self.outputs[step]


async def test_run_can_be_resumed_after_any_of_its_steps(monkeypatch: pytest.MonkeyPatch):
    async def run(outputs: dict[str, object]) -> tuple[Bench, Kept, RunResult]:
        bench, kept = _bench(Rounds(max_rounds=3, enough=Enough(passages=50))), Kept(outputs)
        monkeypatch.setattr(
            "sluice_gateway.domain.running.Stepper",
            lambda recorder, _, budgets: Stepper(recorder, kept, budgets=budgets),
        )
        return bench, kept, await _answer(bench)

    whole, kept, result = await run({})
    assert len(kept.order) == 13
    for done in range(len(kept.order) + 1):
        before = {name: kept.outputs[name] for name in kept.order[:done]}
        resumed, again, same = await run(before)
        assert replace(same, run_id="") == replace(result, run_id="")
        assert [name for name in again.order if name != "retrieve"] == [
            name for name in kept.order if name != "retrieve"
        ]
        assert len(resumed.world.calls) <= len(whole.world.calls)
        assert _read(resumed) == _read(whole) if resumed.world.prompt else done >= len(kept.order) - 1
