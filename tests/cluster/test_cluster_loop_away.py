"""What is to be done where the operator is gone for good, as its page says."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from sluice_operator.triggers import FINALIZER
from support import crds
from support.api_server import BINARIES, ApiServer

pytestmark = pytest.mark.needs("cluster")

PAGE = Path(__file__).parents[2] / "docs" / "operator.md"


async def test_the_pages_command_lets_objects_go(server: ApiServer, namespace: str) -> None:
    crds.install(server)
    for name in ("a", "b"):
        manifest = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ModelServer",
            "metadata": {"name": name, "namespace": namespace, "finalizers": [FINALIZER]},
            "spec": {"baseModel": "m", "external": {"urls": ["http://127.0.0.1:1/v1"]}},
        }
        server.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    server.kubectl("delete", "modelserver", "a", "-n", namespace, "--wait=false")
    assert server.kubectl("get", "modelserver", "-n", namespace, "-o", "name").count("\n") == 2

    command = re.findall(r"```\n(kubectl get sluice .*?)```", PAGE.read_text(), re.DOTALL)[0]
    program = BINARIES / "kubectl"
    kubectl = program if program.is_file() else "command kubectl"
    prefix = f'kubectl() {{ {kubectl} --kubeconfig "{server.kubeconfig}" "$@"; }}\n'
    result = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euc", prefix + command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    left = server.kubectl(
        "get", "modelserver", "-n", namespace, "-o", "jsonpath={.items[*].metadata.finalizers}"
    )
    assert left == ""
    assert server.kubectl("get", "modelserver", "-n", namespace, "-o", "name").split() == [
        "modelserver.sluice.dev/b"
    ]
