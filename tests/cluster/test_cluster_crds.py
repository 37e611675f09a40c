"""The custom resource definitions on a real API server: they are served, and examples fit."""

import json
from pathlib import Path

import pytest

from sluice_api.objects.registry import KINDS
from support import crds
from support.api_server import ApiServer

pytestmark = pytest.mark.needs("cluster")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _installed(server: ApiServer) -> None:
    crds.install(server)


def test_every_kind_is_served_under_its_names(server: ApiServer) -> None:
    served = json.loads(server.kubectl("get", "--raw", "/apis/sluice.dev/v1alpha1"))["resources"]

    by_name = {each["name"]: each for each in served}
    for kind in KINDS.values():
        resource = by_name[kind.PLURAL]
        assert resource["kind"] == kind.KIND
        assert resource["singularName"] == kind.KIND.lower()
        assert resource["shortNames"] == [kind.SHORT_NAME]
        assert resource["categories"] == ["sluice"]
        assert f"{kind.PLURAL}/status" in by_name
    assert [name for name in by_name if name.endswith("/scale")] == ["modelservers/scale"]


@pytest.mark.parametrize("folder", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_examples_are_accepted(server: ApiServer, folder: Path) -> None:
    files = sorted(str(file) for file in folder.rglob("*.yaml"))
    told = server.kubectl("create", "--dry-run=server", *[f"--filename={file}" for file in files])

    assert told.count("created (server dry run)") >= len(files)
