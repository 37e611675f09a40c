"""Which adapter a request is served by, and under which names the steps then ask for it."""

from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from sluice_api.objects.lora_adapter import Selectors
from sluice_api.objects.model_server import External, ModelServerSpec
from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.objects.steps import FallbackStep, GenerateStep, RewriteStep, Steps
from sluice_api.snapshot import CompiledAdapter, CompiledExperiment, CompiledPipeline, Snapshot
from sluice_gateway.domain.adapting.choosing import AdapterChoice, Chosen, choose
from sluice_gateway.domain.adapting.listing import listed
from sluice_gateway.domain.adapting.locales import widening
from sluice_gateway.domain.adapting.naming import pipeline_and_adapter, selecting
from sluice_gateway.domain.adapting.serving import Served, serve
from sluice_gateway.domain.experimenting.assigning import How
from sluice_gateway.domain.model import Message, Principal, RunRequest
from sluice_servicekit.errors import InvalidArgument, NotFound, Unavailable
from support.experiments import experiment

SERVER = ModelServerSpec(base_model="qwen", external=External(urls=("http://x/v1",)))


def _adapter(alias: str, *, task: str = "", locale: str = "", **more: object) -> CompiledAdapter:
    return CompiledAdapter(
        model_server="m",
        model_name=alias,
        engine_name=f"{alias}-r1",
        revision="r1",
        selectors=Selectors(task=task, locale=locale),
    ).model_copy(update=more)


FRENCH = {
    "fr": _adapter("french", locale="fr"),
    "fr-ca": _adapter("canadian", locale="fr-CA"),
    "legal": _adapter("legal", task="legal"),
    "legal-fr": _adapter("legal-french", task="legal", locale="fr"),
    "named-only": _adapter("named"),
    "elsewhere": _adapter("other", locale="de", model_server="another"),
}


def _pipeline(model: str = "", rewrite: str | None = None) -> PipelineSpec:
    return PipelineSpec(
        knowledge_base_ref="default",
        guardrail_policy_ref="default",
        steps=Steps(
            generate=GenerateStep(model_server_ref="m", model_name=model),
            rewrite=None if rewrite is None else RewriteStep(model_server_ref="m", model_name=rewrite),
        ),
    )


def _snapshot(
    adapters: dict[str, CompiledAdapter], experiments: dict[str, CompiledExperiment] | None = None
) -> Snapshot:
    return Snapshot(
        pipelines={"default": CompiledPipeline(version="1", spec=_pipeline())},
        model_servers={"m": SERVER, "another": SERVER},
        adapters=adapters,
        experiments=experiments or {},
    )


def _request(**changes: object) -> RunRequest:
    return replace(RunRequest("default", Principal("acme"), (Message("user", "How long?"),)), **changes)


def _chosen(request: RunRequest, adapters: dict[str, CompiledAdapter] = FRENCH, model: str = "") -> str:
    choice = choose(_snapshot(adapters), _pipeline(model), request)
    return "" if choice is None else choice.model_name


@pytest.mark.parametrize(("tag", "tags"), [("fr-CA", ["fr-ca", "fr"]), ("fr", ["fr"]), ("", [])])
def test_languages_widen(tag: str, tags: list[str]) -> None:
    assert list(widening(tag)) == tags


def test_a_single_letter_ends_no_tag() -> None:
    assert list(widening("zh-Hant-CN-x-private")) == ["zh-hant-cn-x-private", "zh-hant-cn", "zh-hant", "zh"]


@pytest.mark.parametrize(
    ("task", "locale", "alias"),
    [
        ("", "", ""),
        ("", "fr-CA", "canadian"),
        ("", "FR-ca", "canadian"),
        ("", "fr-BE", "french"),
        ("", "de", ""),  # of another server
        ("legal", "", "legal"),
        ("legal", "de-AT", "legal"),
        ("legal", "fr-CA", "legal-french"),  # the task comes before the nearer language
        ("medical", "fr", "french"),
        ("medical", "", ""),
    ],
)
def test_selectors_choose_and_fall_back(task: str, locale: str, alias: str) -> None:
    assert _chosen(_request(task=task, locale=locale)) == alias


def test_the_request_comes_before_the_pipeline_and_the_pipeline_before_selectors() -> None:
    assert _chosen(_request(adapter="legal", locale="fr"), model="named") == "legal"
    assert _chosen(_request(locale="fr"), model="named") == "named"
    assert _chosen(_request(locale="fr"), model="what-no-adapter-has") == ""


def test_one_that_is_not_ready_is_passed_over_and_told() -> None:
    resting = FRENCH | {"fr-ca": _adapter("canadian", locale="fr-CA", resting=True)}
    choice = choose(_snapshot(resting), _pipeline(), _request(locale="fr-CA"))
    assert choice == AdapterChoice("french", Chosen.SELECTORS, "fr", "french-r1", "r1", ("fr-ca",))


def test_where_none_is_ready_the_base_model_answers() -> None:
    resting = {"fr": _adapter("french", locale="fr", resting=True)}
    choice = choose(_snapshot(resting), _pipeline(), _request(locale="fr"))
    assert choice == AdapterChoice("", Chosen.SELECTORS, passed_over=("fr",))


def test_one_that_is_named_and_not_ready_is_not_replaced() -> None:
    resting = {"fr": _adapter("french", locale="fr", resting=True)}
    with pytest.raises(Unavailable) as error:
        _chosen(_request(adapter="french"), resting)
    assert error.value.reason == "ADAPTER_NOT_READY"


@pytest.mark.parametrize("adapter", ["nonsense", "other", "secret"])
def test_what_is_not_there_for_a_tenant_cannot_be_named(adapter: str) -> None:
    mine = FRENCH | {"secret": _adapter("secret", tenants=("globex",))}
    with pytest.raises(NotFound) as error:
        _chosen(_request(adapter=adapter), mine)
    assert error.value.reason == "MODEL_NOT_FOUND"
    assert "secret" not in error.value.message.split("adapters of")[1]


def test_selectors_choose_no_other_tenants_adapter() -> None:
    adapters = {"fr": _adapter("french", locale="fr", tenants=("globex",))}
    assert _chosen(_request(locale="fr"), adapters) == ""
    assert _chosen(_request(locale="fr", principal=Principal("globex")), adapters) == "french"


def test_only_what_can_be_named_is_listed() -> None:
    adapters = {
        "open": _adapter("open"),
        "secret": _adapter("secret", tenants=("globex",)),
        "resting": _adapter("resting", resting=True),
    }
    snapshot = _snapshot(adapters)
    assert [each.name for each in listed(snapshot, Principal("acme"))] == ["default", "default/open"]
    limited = Principal("globex", models=("default/s*",))
    assert [(each.name, each.parent) for each in listed(snapshot, limited)] == [("default/secret", "default")]


def _served(request: RunRequest, pipeline: PipelineSpec, **experiments: CompiledExperiment) -> Served:
    return serve(_snapshot(FRENCH, experiments), pipeline, request, "run")


def test_steps_ask_by_the_engines_names() -> None:
    pipeline = _pipeline(rewrite="legal")
    fallbacks = {
        "again": FallbackStep(model_server_ref="m", model_name="named", on_fail="catch:plain"),
        "plain": FallbackStep(model_server_ref="m"),
    }
    generate = pipeline.steps.generate.model_copy(update={"on_fail": "catch:again"})
    steps = pipeline.steps.model_copy(update={"generate": generate, "fallbacks": fallbacks})
    served = _served(_request(locale="fr"), pipeline.model_copy(update={"steps": steps})).spec.steps
    assert (served.generate.model_name, served.rewrite.model_name) == ("french-r1", "legal-r1")
    assert [step.model_name for _, step in served.chain()] == ["named-r1", ""]


def test_an_arms_model_takes_the_aliass_place_in_all_steps_that_name_it() -> None:
    trial = experiment(promoted="new")
    served = _served(_request(), _pipeline("support", rewrite="support"), trial=trial)
    assert served.assignment.arm == "new"
    assert served.spec.steps.generate.model_name == served.spec.steps.rewrite.model_name == "support-r2"
    assert _served(
        _request(), _pipeline("support", rewrite="small"), trial=trial
    ).spec.steps.rewrite.model_name == ("small")


def test_an_experiments_alias_can_be_named() -> None:
    served = _served(_request(adapter="support"), _pipeline(), trial=experiment(promoted="new"))
    assert (served.spec.steps.generate.model_name, served.assignment.arm) == ("support-r2", "new")


def test_what_was_passed_over_is_counted() -> None:
    def counted(adapter: str) -> float:
        return (
            REGISTRY.get_sample_value("sluice_gateway_adapters_passed_over_total", {"adapter": adapter})
            or 0.0
        )

    resting = _snapshot(FRENCH | {"fr-ca": _adapter("canadian", locale="fr-CA", resting=True)})
    before = counted("fr-ca")
    serve(resting, _pipeline(), _request(locale="fr-CA"), "run").count()
    assert counted("fr-ca") - before == 1
    before, trial = counted("r2"), experiment(new=100, resting=("new",))
    served = _served(_request(), _pipeline("support"), trial=trial)
    served.count()
    assert (served.assignment.arm, served.assignment.how) == ("base", How.RESTING)
    assert counted("r2") - before == 1


def test_answers_of_two_revisions_have_two_keys() -> None:
    snapshots = [
        _snapshot({"fr": _adapter("french", locale="fr", revision=revision)}) for revision in ("r1", "r2")
    ]
    keys = {serve(each, _pipeline(), _request(locale="fr"), "run").key for each in snapshots}
    assert len(keys) == 2
    assert serve(snapshots[0], _pipeline(), _request(), "run").key == ""


def test_without_adapters_a_pipeline_stays_what_it_is() -> None:
    pipeline = _pipeline("qwen")
    assert serve(_snapshot({}), pipeline, _request(), "run").spec is pipeline


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("default", ("default", "")),
        ("default/a.b-c", ("default", "a.b-c")),
        ("org/team/x", ("org", "team/x")),
        ("default/", ("default/", "")),
    ],
)
def test_names_of_models(model: str, parts: tuple[str, str]) -> None:
    assert pipeline_and_adapter(model) == parts
    assert _request(pipeline=parts[0], adapter=parts[1]).model == model


@pytest.mark.parametrize("word", [3, ["fr"], "x" * 64])
def test_a_selector_is_a_short_text(word: object) -> None:
    with pytest.raises(InvalidArgument) as error:
        selecting("metadata.locale", word)
    assert error.value.field == "metadata.locale"
