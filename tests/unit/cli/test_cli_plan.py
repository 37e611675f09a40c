"""Which processes run, and what each is told."""

from pathlib import Path

from sluice_cli.supervising.layout import Layout
from sluice_cli.supervising.plan import GATEWAY, SERVICES, Wiring, plan

NAMES = (*SERVICES, GATEWAY)
WIRING = Wiring(
    services={name: f"127.0.0.1:{7100 + n}" for n, name in enumerate(NAMES)},
    metrics={name: f"127.0.0.1:{7200 + n}" for n, name in enumerate(NAMES)},
    snapshot="127.0.0.1:7300",
    http_fd=9,
)


def _plan(environment: dict[str, str] | None = None, keys: Path | None = None, traces: str = ""):
    return {spec.name: spec for spec in plan(Layout(Path("/data")), WIRING, environment or {}, keys, traces)}


def test_each_process_has_its_own_address_folder_and_log():
    specs = _plan()
    assert list(specs) == list(NAMES)
    for name, spec in specs.items():
        assert spec.module == f"sluice_{name}"
        assert spec.environment["SLUICE_LISTEN"] == spec.address == WIRING.services[name]
        assert spec.environment["SLUICE_DATA_DIR"] == f"/data/{name}"
        assert spec.environment["SLUICE_SNAPSHOT_ADDRESS"] == "127.0.0.1:7300"
        assert spec.log == Path(f"/data/logs/{name}.log")


def test_gateway_knows_the_services_and_holds_the_socket():
    gateway = _plan(keys=Path("/keys.yaml"))[GATEWAY]
    for name in SERVICES:
        assert gateway.environment[f"SLUICE_{name.upper()}_ADDRESS"] == WIRING.services[name]
    assert gateway.environment["SLUICE_HTTP_LISTEN"] == "fd:9"
    assert gateway.environment["SLUICE_API_KEYS_FILE"] == "/keys.yaml"
    assert tuple(gateway.pass_fds) == (9,)
    assert _plan()["retriever"].pass_fds == ()


def test_guardrail_finds_modules_beside_the_objects_unless_it_is_told_another_folder():
    modules = Path("/objects/modules")
    own = {spec.name: spec.environment for spec in plan(Layout(Path("/data")), WIRING, {}, None, "", modules)}
    assert own["guardrail"]["SLUICE_MODULES_DIR"] == "/objects/modules"
    assert all("SLUICE_MODULES_DIR" not in own[name] for name in NAMES if name != "guardrail")
    told = {"SLUICE_MODULES_DIR": "/elsewhere"}
    other = plan(Layout(Path("/data")), WIRING, told, None, "", modules)
    assert other[0].environment["SLUICE_MODULES_DIR"] == "/elsewhere"


def test_surroundings_are_passed_on_and_overruled():
    specs = _plan({"SLUICE_LOG_LEVEL": "DEBUG", "SLUICE_LISTEN": "0.0.0.0:1"}, traces="file:/t")
    assert specs["retriever"].environment["SLUICE_LOG_LEVEL"] == "DEBUG"
    assert specs["retriever"].environment["SLUICE_LISTEN"] == WIRING.services["retriever"]
    assert all(spec.environment["SLUICE_TRACES"] == "file:/t" for spec in specs.values())
