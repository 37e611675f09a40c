"""What the guardrail costs on one core: time by length of a prompt, what was not read, streams, many calls, memory.

    .venv/bin/python bench/guardrail.py [--only PART …] [--calls 20000]

The guardrail is a process of its own on core 0, asked over gRPC; this client takes the other cores. Texts are stretches
of the project's documentation, every one another, so that nothing is answered from memory. Parts:

    lengths     p50, p95, p99 and CPU by length; open loop, the core three tenths busy
    stream      what checking adds to the first text of an answer that is written at once, and to each chunk
    modules     what a policy in WebAssembly adds to a call, where policies/modules holds some
    concurrent  200 calls at once
    memory      resident memory while so many calls are made

The plot is .cache/evaluation/plots/guardrail.svg.
"""

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from evaluation import plots
from evaluation.asking import CACHE
from evaluation.documentation import Texts
from evaluation.guarding import Guardrail, Load, guardrail, open_loop, together
from pydantic import JsonValue
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sluice.common.v1 import common_pb2
from sluice.guardrail.v1 import guardrail_pb2
from sluice_api.objects.guardrail_policy import (
    Action,
    GuardrailPolicySpec,
    InputDetectors,
    PromptInjectionDetector,
    StreamingMode,
    WasmKind,
    WasmPolicy,
    WasmStage,
)

HERE = Path(__file__).parent
_MODULES_DIR = HERE.parent / "policies" / "modules"

#: Tokens of a prompt, and calls for each.
_LENGTHS = {16: 400, 64: 400, 128: 300, 256: 200, 512: 200, 2048: 60}
#: Characters of the longest prompt, and calls.
_LONGEST, _LONGEST_CALLS = 65_536, 20
#: Milliseconds that 95 of 100 calls may take, by tokens.
_BUDGETS = {64: 15.0, 128: 20.0, 512: 100.0}
_FIRST_TEXT_BUDGET = 60.0
_UTILISATION = 0.3
_CLASSIFIER = "prompt-injection-classifier"

_CONSOLE = Console(width=None if sys.stdout.isatty() else 140)


def main() -> None:
    """Measures the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    parser.add_argument("--calls", type=int, default=20_000, help="of the memory part")
    parser.add_argument("--brief", action="store_true", help="a fifth of the calls of the other parts")
    parser.add_argument("--rules-only", action="store_true", help="without the built-in classifier")
    arguments = parser.parse_args()
    environment = {"SLUICE_MODULES_DIR": str(_MODULES_DIR)}
    if arguments.rules_only:
        environment["SLUICE_GUARD_CLASSIFIER"] = "off"
    share = 5 if arguments.brief else 1
    asyncio.run(measure(arguments.only, arguments.calls, share, environment))


async def measure(parts: Sequence[str], calls: int, share: int, environment: dict[str, str]) -> None:
    """Runs the parts, one after the other, on one guardrail."""
    # A block would end the reading early.
    flagging = InputDetectors(prompt_injection=PromptInjectionDetector(action=Action.FLAG))
    policies = {
        "default": GuardrailPolicySpec(input=flagging),
        "window": GuardrailPolicySpec(streaming=StreamingMode.WINDOW),
        **{
            f"module {policy.name}": GuardrailPolicySpec(input=flagging, wasm=(policy,))
            for policy in _modules()
        },
    }
    _CONSOLE.print(f"load average {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory() as folder:
        async with guardrail(Path(folder), policies, environment) as there:
            _CONSOLE.print(f"ready after {there.start_seconds:.1f} s, {there.resident_mib:.0f} MiB")
            for part in parts:
                await _PARTS[part](there, Texts(), calls if part == "memory" else share)
    _CONSOLE.print(f"load average {os.getloadavg()[0]:.1f} after")


async def lengths(there: Guardrail, texts: Texts, share: int) -> None:
    """Time by the length of a prompt."""
    asked = {str(tokens): texts.of_tokens(tokens, count // share) for tokens, count in _LENGTHS.items()}
    asked[f"{_LONGEST >> 10} KiB"] = texts.of_characters(_LONGEST, _LONGEST_CALLS // share)
    loads: dict[str, Load] = {}
    with Progress(console=_CONSOLE, transient=True) as progress:
        for name in progress.track(asked):
            loads[name] = await open_loop(there, asked[name], _UTILISATION)
    table = Table(
        "tokens", "calls", "p50, ms", "p95", "p99", "budget, p95", "CPU, ms", "partial", "read of those"
    )
    for name, load in loads.items():
        budget = _BUDGETS.get(int(name)) if name.isdigit() else None
        table.add_row(
            name,
            str(len(load.milliseconds)),
            *(f"{load.percentile(share):.1f}" for share in (50, 95, 99)),
            "" if budget is None else f"{budget:.0f} {'kept' if load.percentile(95) <= budget else 'missed'}",
            f"{load.cpu_milliseconds:.1f}",
            f"{load.share(lambda verdict: verdict.partial):.0%}",
            _read(load),
        )
    _CONSOLE.print(table)
    path = CACHE / "plots" / "guardrail.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    shares = (50, 95, 99)
    plots.time_by_length(
        {name: [load.percentile(share) for share in shares] for name, load in loads.items()},
        shares,
        {str(tokens): budget for tokens, budget in _BUDGETS.items()},
        path,
    )
    _CONSOLE.print(f"{path}")


async def stream(there: Guardrail, texts: Texts, share: int) -> None:
    """What checking adds to an answer that is written at once."""
    table = Table("passages", "first text, ms: p50", "p95", "p99", "budget", "each chunk: p50", "p95", "p99")
    for name, count in (("none", 0), ("five, read ahead", 5), ("five, new", 5)):
        firsts: list[float] = []
        chunks: list[float] = []
        for _ in range(60 // share):
            passages = [common_pb2.Passage(text=text) for text in texts.of_tokens(200, count)]
            if name == "five, read ahead":
                await there.stub.CheckPassages(
                    guardrail_pb2.CheckPassagesRequest(policy="window", passages=passages, ahead=True)
                )
            first, others = await _streamed(there, passages, texts.of_tokens(160, 1)[0])
            firsts.append(first)
            chunks += others
        table.add_row(
            name,
            *(f"{np.percentile(firsts, share):.1f}" for share in (50, 95, 99)),
            f"{_FIRST_TEXT_BUDGET:.0f} {'kept' if np.percentile(firsts, 95) <= _FIRST_TEXT_BUDGET else 'missed'}",
            *(f"{np.percentile(chunks, share):.2f}" for share in (50, 95, 99)),
        )
    _CONSOLE.print(table)


async def _streamed(
    there: Guardrail, passages: Sequence[common_pb2.Passage], answer: str
) -> tuple[float, list[float]]:
    """Milliseconds until the first text may leave, and those that each later chunk takes."""
    words = f"It is so. {answer}".split(" ")
    pieces = [" ".join(words[at : at + 4]) + " " for at in range(0, len(words), 4)]
    sent: asyncio.Queue[guardrail_pb2.CheckOutputStreamRequest | None] = asyncio.Queue()

    async def requests() -> AsyncIterator[guardrail_pb2.CheckOutputStreamRequest]:
        while (request := await sent.get()) is not None:
            yield request

    start = guardrail_pb2.CheckOutputRequest(policy="window", question="What is it?", passages=passages)
    last = guardrail_pb2.CheckOutputStreamRequest(final=True)
    waiting = [
        guardrail_pb2.CheckOutputStreamRequest(start=start, delta=pieces[0]),
        *(guardrail_pb2.CheckOutputStreamRequest(delta=piece) for piece in pieces[1:]),
        last,
    ]
    first = 0.0
    each: list[float] = []
    began = left = time.perf_counter()
    await sent.put(waiting.pop(0))
    async for reply in there.stub.CheckOutputStream(requests()):
        now = time.perf_counter()
        each.append((now - left) * 1000)
        if reply.released and not first:
            first = (now - began) * 1000
        left = time.perf_counter()
        await sent.put(waiting.pop(0) if waiting and not reply.final else None)
    return first or each[-1], each[1:-1]


def _modules() -> list[WasmPolicy]:
    """The project's own, each on the input alone."""
    wanted: list[tuple[str, WasmKind, dict[str, JsonValue]]] = [
        ("no-competitors", WasmKind.CORE, {"words": ["Globex", "Initech"]}),
        ("egress-links", WasmKind.WASI, {"hosts": ["example.com"]}),
    ]
    return [
        WasmPolicy(
            name=name,
            module=f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
            kind=kind,
            stages=(WasmStage.PRE,),
            settings=settings,
            timeout="1s",
        )
        for name, kind, settings in wanted
        if (path := _MODULES_DIR / f"{name}.wasm").is_file()
    ]


async def modules(there: Guardrail, texts: Texts, share: int) -> None:
    """What a policy in WebAssembly adds: calls with it and without, in turn, of texts that are answered from memory."""
    if not _modules():
        _CONSOLE.print(f"no modules in {_MODULES_DIR}")
        return
    table = Table("module", "kind", "without, ms: p50", "with: p50", "p95", "adds at p50")
    asked = texts.of_tokens(64, 100 // share)
    for policy in _modules():
        name = f"module {policy.name}"
        taken: dict[str, list[float]] = {"default": [], name: []}
        for text in [*asked, *asked]:  # the first time round the classifier reads them
            for each, milliseconds in taken.items():
                started = time.perf_counter()
                await there.guard(text, each)
                milliseconds.append((time.perf_counter() - started) * 1000)
        without, there_too = (np.array(each[len(asked) :]) for each in taken.values())
        table.add_row(
            policy.name,
            policy.kind,
            f"{np.median(without):.2f}",
            f"{np.median(there_too):.2f}",
            f"{np.percentile(there_too, 95):.2f}",
            f"{np.median(there_too - without):.2f}",
        )
    _CONSOLE.print(table)


async def concurrent(there: Guardrail, texts: Texts, share: int) -> None:
    """Many calls at once."""
    load = await together(there, texts.of_tokens(64, 200))
    _CONSOLE.print(
        f"200 calls of 64 tokens at once: all answered, p50 {load.percentile(50):.0f} ms, "
        f"last {max(load.milliseconds):.0f} ms, CPU {load.cpu_milliseconds:.1f} ms each, "
        f"partial {load.share(lambda verdict: verdict.partial):.0%}"
    )


async def memory(there: Guardrail, texts: Texts, calls: int) -> None:
    """Resident memory while calls are made."""
    held = [there.resident_mib]
    part = max(8, calls // 8)
    with Progress(console=_CONSOLE, transient=True) as progress:
        task = progress.add_task("memory", total=calls)
        for _ in range(0, calls, part):
            for some in _in_groups(texts.of_tokens(32, part), 16):
                await asyncio.gather(*map(there.guard, some))
                progress.advance(task, len(some))
            held.append(there.resident_mib)
    shown = ", ".join(f"{each:.0f}" for each in held)
    _CONSOLE.print(f"MiB resident while {calls:,} calls are made, at each eighth: {shown}")


def _in_groups(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[at : at + size] for at in range(0, len(texts), size))


def _read(load: Load) -> str:
    """What the classifier has read where it has not read all."""
    details = {
        report.detail
        for verdict in load.verdicts
        for report in verdict.detectors
        if report.detector == _CLASSIFIER and report.state == guardrail_pb2.DETECTOR_STATE_PARTIAL
    }
    return min(details, default="")


#: What there is to measure.
_PARTS: dict[str, Callable[[Guardrail, Texts, int], Awaitable[None]]] = {
    "lengths": lengths,
    "stream": stream,
    "modules": modules,
    "concurrent": concurrent,
    "memory": memory,
}


if __name__ == "__main__":
    main()
