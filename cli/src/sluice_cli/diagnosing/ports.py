"""Group `ports`: can the gateway listen, or does it?"""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import psutil

from sluice_cli.diagnosing import holding
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok
from sluice_cli.diagnosing.holding import Holder
from sluice_cli.diagnosing.subject import Subject
from sluice_servicekit.addresses import bound_socket, is_loopback, parse_address

GROUP = "ports"

DEFAULT_LISTEN = "127.0.0.1:8080"


@dataclass(frozen=True)
class PortFacts:
    """An address, and who has it."""

    check: str
    option: str
    """That of `sluice up` which names it."""
    address: str
    error: int
    """Why nobody else could listen there, as an errno; 0 where somebody could."""
    reason: str
    """The same in words."""
    holders: Sequence[Holder]
    """Who listens on its port, as far as it can be told."""
    own: frozenset[int]
    """The processes of the `sluice up` that holds the data folder."""
    expected: bool
    """That `sluice up` says that it listens there."""
    keys: bool
    """API keys are on."""


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    named = [("HTTP address", "--listen", _http(subject)), ("gRPC address", "--grpc-listen", _grpc(subject))]
    return [
        Check(GROUP, check, partial(_look, subject, check, option, address))
        for check, option, address in named
        if address
    ]


def gather(subject: Subject, check: str, option: str, address: str) -> PortFacts:
    """Tries to listen there, and looks up who does."""
    record = subject.running
    error, reason = _error(address)
    pids = {record.pid, *(process.pid for process in record.processes)} - {0} if record is not None else set()
    return PortFacts(
        check=check,
        option=option,
        address=address,
        error=error,
        reason=reason,
        holders=[holding.of_process(pid) for pid in _listening(parse_address(address)[1])],
        own=frozenset(pids),
        expected=record is not None and address in (urlsplit(record.url).netloc, record.grpc_address),
        keys=subject.api_keys is not None,
    )


def judge(facts: PortFacts) -> Finding:
    """Whether the address is free, or ours."""
    host, port = parse_address(facts.address)
    elsewhere = f"choose another address: `sluice up {facts.option} 127.0.0.1:{_other(port)}`"
    if facts.error == errno.EADDRINUSE:
        if any(holder.pid in facts.own for holder in facts.holders):
            return ok(facts.check, f"{facts.address} is served by the `sluice up` of this data folder")
        who = ", ".join(str(holder) for holder in facts.holders) or "a process that cannot be told"
        return failed(facts.check, f"{facts.address} is held by {who}", f"stop it, or {elsewhere}")
    if facts.error == errno.EACCES:
        return failed(facts.check, f"{facts.address}: ports below 1024 are root's", elsewhere)
    if facts.error:
        return failed(facts.check, f"{facts.address}: {facts.reason}", elsewhere)
    if facts.expected:
        remedy = "stop that `sluice up` and start it again"
        return failed(facts.check, f"`sluice up` runs and nobody listens on {facts.address}", remedy)
    if not facts.keys and not is_loopback(host):
        remedy = "name a keys file with --api-keys, or listen on 127.0.0.1"
        return failed(
            facts.check, f"{facts.address}: without API keys the gateway listens on loopback only", remedy
        )
    return ok(facts.check, f"{facts.address} is free")


def _look(subject: Subject, check: str, option: str, address: str) -> list[Finding]:
    return [judge(gather(subject, check, option, address))]


def _http(subject: Subject) -> str:
    if subject.asked.listen:
        return subject.asked.listen
    return urlsplit(subject.running.url).netloc if subject.running is not None else DEFAULT_LISTEN


def _grpc(subject: Subject) -> str:
    if subject.asked.grpc_listen or subject.running is None:
        return subject.asked.grpc_listen
    return subject.running.grpc_address


def _error(address: str) -> tuple[int, str]:
    try:
        with bound_socket(address) as bound:
            bound.listen(1)
    except OSError as error:
        return error.errno or errno.EINVAL, error.strerror or str(error)
    return 0, ""


def _listening(port: int) -> Iterator[int]:
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return
    pids = {
        each.pid
        for each in connections
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid
    }
    yield from sorted(pids)


def _other(port: int) -> int:
    return port + 10 if port + 10 <= 65535 else 8090
