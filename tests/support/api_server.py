"""A real kube-apiserver for tests, with etcd and the controller manager, from the binaries that `make cluster` builds.

No scheduler and no kubelet: pods never run, so tests write their status. The garbage collector, deployments and
namespaces work as in any cluster.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

BINARIES = Path(__file__).parents[2] / ".cache" / "cluster" / "bin"
KUBECONFIG_VARIABLE = "SLUICE_TEST_KUBECONFIG"

_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_START_SECONDS = 180.0

_WRITES = ("create", "update", "patch", "delete")
_READS = ("get", "list", "watch")


def is_there() -> bool:
    """True where a server can be started, or one is named."""
    return bool(os.environ.get(KUBECONFIG_VARIABLE)) or all((BINARIES / name).is_file() for name in _NAMES)


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A server that runs."""

    kubeconfig: Path
    audit_log: Path | None = None
    """A JSON line for each write, and for each read where `api_server` was told so; none of a cluster that tests did
    not start."""

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints."""
        program = BINARIES / "kubectl"
        result = subprocess.run(
            [program if program.is_file() else "kubectl", "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and result.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout if check else result.stdout + result.stderr

    def writes(self, user_agent: str = "") -> list[dict[str, object]]:
        """The audit log's entries of writes by clients whose user agent has a word in it."""
        return [entry for entry in self.calls(user_agent) if entry["verb"] in _WRITES]

    def calls(self, user_agent: str = "") -> list[dict[str, object]]:
        """The same of all that is in the audit log."""
        if self.audit_log is None or not self.audit_log.exists():
            return []
        entries = [json.loads(line) for line in self.audit_log.read_text().splitlines()]
        return [entry for entry in entries if user_agent in str(entry.get("userAgent", ""))]


@contextmanager
def api_server(*, reads: bool = False) -> Iterator[ApiServer]:
    """A server of its own for the length of the block, or the cluster that `SLUICE_TEST_KUBECONFIG` names.

    Args:
        reads: Has its audit log tell of reads, too.
    """
    if given := os.environ.get(KUBECONFIG_VARIABLE):
        yield ApiServer(Path(given))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-cluster-")))
        yield _start(folder, stack, _WRITES + (_READS if reads else ()))


def _start(folder: Path, stack: ExitStack, verbs: Sequence[str]) -> ApiServer:
    client, peer, port = (_free_port() for _ in range(3))
    _run(
        stack,
        folder,
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    )
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (folder / "audit.json").write_text(json.dumps(_audit_policy(verbs)))
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    _run(
        stack,
        folder,
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--audit-policy-file={folder / 'audit.json'}",
        f"--audit-log-path={folder / 'audit.log'}",
        # Pods have no service account's token here: nothing in them would run anyway.
        "--disable-admission-plugins=ServiceAccount",
        "--allow-privileged=true",
    )
    url = f"https://127.0.0.1:{port}"
    _wait_ready(url, token, folder)
    server = ApiServer(_kubeconfig(folder, url, token), folder / "audit.log")
    _run(
        stack,
        folder,
        "kube-controller-manager",
        f"--kubeconfig={server.kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        f"--service-account-private-key-file={key}",
        "--secure-port=0",
    )
    return server


def _audit_policy(verbs: Sequence[str]) -> dict[str, object]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "verbs": list(verbs)}, {"level": "None"}],
    }


def _run(stack: ExitStack, folder: Path, name: str, *arguments: str) -> None:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([BINARIES / name, *arguments], stdout=log, stderr=log, cwd=folder)

    def stop() -> None:
        process.send_signal(signal.SIGTERM if name != "kube-apiserver" else signal.SIGKILL)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(stop)


def _wait_ready(url: str, token: str, folder: Path) -> None:
    context = ssl._create_unverified_context()
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(request, context=context, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    log = (folder / "kube-apiserver.log").read_text()[-2000:]
    raise RuntimeError(f"kube-apiserver is not ready after {_START_SECONDS:g} s:\n{log}")


def _kubeconfig(folder: Path, url: str, token: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "tests",
                "cluster": {
                    "server": url,
                    "certificate-authority": str(folder / "certificates" / "apiserver.crt"),
                },
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
        "current-context": "tests",
    }
    path.write_text(json.dumps(config))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing() -> str:
    """What to install, in words."""
    if shutil.which("go") is None:
        return (
            "install Go 1.24 or newer (https://go.dev/dl), then make cluster; or set SLUICE_TEST_KUBECONFIG"
        )
    return "make cluster, which builds for some minutes once; or set SLUICE_TEST_KUBECONFIG"
