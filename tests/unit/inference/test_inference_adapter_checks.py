"""Whether an adapter fits: ranks, scales, names, and every tensor against the base model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sluice_inference.adapter_agent.checking.checks import Checked, Limits
from sluice_inference.adapter_agent.checking.inspecting import inspect
from sluice_inference.adapter_agent.reasons import Reason, is_permanent
from sluice_servicekit.errors import ServiceError
from support import lora

LIMITS = Limits(max_rank=8, base_models=("example/tiny",))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora.base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def base_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora.base_model(tmp_path_factory.mktemp("config"), weights=False)


def checked(folder: Path, files: Mapping[str, bytes], base: Path | None, limits: Limits = LIMITS) -> Checked:
    return inspect(lora.written(folder, files), base, limits).checked


def refused(
    folder: Path, files: Mapping[str, bytes], base: Path | None, limits: Limits = LIMITS
) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        checked(folder, files, base, limits)
    assert is_permanent(caught.value)
    return caught.value


def with_shapes(shapes: lora.Shapes, **fields: Any) -> dict[str, bytes]:
    return {
        "adapter_config.json": lora.config(**fields),
        "adapter_model.safetensors": lora.safetensors(shapes),
    }


def changed(module: str, a: tuple[int, int], b: tuple[int, int]) -> dict[str, bytes]:
    name = f"base_model.model.model.layers.0.{module}"
    return with_shapes({**lora.adapter_shapes(), f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b})


@pytest.mark.parametrize("sharded", [False, True])
def test_an_adapter_that_fits_is_taken_without_a_word(tmp_path: Path, sharded: bool) -> None:
    base = lora.base_model(tmp_path / "base", sharded=sharded)
    found = checked(tmp_path / "a", lora.adapter(), base)

    assert found.rank == 4
    assert found.warnings == ()
    assert found.target_modules == (
        "down_proj",
        "gate_proj",
        "k_proj",
        "o_proj",
        "q_proj",
        "up_proj",
        "v_proj",
    )


def test_config_json_alone_tells_the_shapes_of_a_known_architecture(
    tmp_path: Path, base_config: Path
) -> None:
    assert checked(tmp_path, lora.adapter(), base_config).warnings == ()


@pytest.mark.parametrize(
    ("module", "a", "b"),
    [
        ("self_attn.q_proj", (4, 24), (16, 4)),  # another hidden size
        ("self_attn.q_proj", (4, 16), (24, 4)),
        ("self_attn.k_proj", (4, 16), (16, 4)),  # as if no heads shared keys
        ("self_attn.v_proj", (4, 16), (16, 4)),
        ("self_attn.o_proj", (4, 8), (16, 4)),
        ("mlp.gate_proj", (4, 16), (48, 4)),
        ("mlp.down_proj", (4, 16), (32, 4)),  # the wrong way round
    ],
)
@pytest.mark.parametrize("by", ["base", "base_config"])
def test_every_tensor_is_compared_with_the_base_model(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    by: str,
    module: str,
    a: tuple[int, int],
    b: tuple[int, int],
) -> None:
    error = refused(tmp_path, changed(module, a, b), request.getfixturevalue(by))
    assert error.reason == Reason.SHAPE_MISMATCH
    assert module in error.message


def test_a_head_size_of_its_own_counts(tmp_path: Path) -> None:
    base = lora.base_model(tmp_path / "base", weights=False, model_type="qwen3", head_dim=8)
    wide = {**lora.MODULES, "self_attn.q_proj": (32, 16), "self_attn.o_proj": (16, 32)}
    wide |= {"self_attn.k_proj": (16, 16), "self_attn.v_proj": (16, 16)}

    assert checked(tmp_path / "a", with_shapes(lora.adapter_shapes(modules=wide)), base).warnings == ()
    assert refused(tmp_path / "b", lora.adapter(), base).reason == Reason.SHAPE_MISMATCH


def test_projections_in_one_are_known_of_phi3(tmp_path: Path) -> None:
    base = lora.base_model(tmp_path / "base", weights=False, model_type="phi3")
    fused = {"self_attn.qkv_proj": (32, 16), "mlp.gate_up_proj": (64, 16)}

    assert checked(tmp_path / "a", with_shapes(lora.adapter_shapes(modules=fused)), base).warnings == ()


@pytest.mark.parametrize(
    "name",
    ["model.layers.7.self_attn.q_proj", "model.layers.0.self_attn.other_proj", "transformer.h.0.c_attn"],
)
def test_a_module_that_the_base_does_not_have_is_refused(tmp_path: Path, base: Path, name: str) -> None:
    shapes = {
        f"base_model.model.{name}.lora_A.weight": (4, 16),
        f"base_model.model.{name}.lora_B.weight": (16, 4),
    }
    error = refused(tmp_path, with_shapes(shapes), base)
    assert error.reason == Reason.MODULE_UNKNOWN
    assert name in error.message


def test_names_are_the_same_whatever_wraps_them(tmp_path: Path) -> None:
    base = lora.base_model(tmp_path / "base", model_type="unheard-of")
    name = "base_model.model.model.language_model.layers.1.self_attn.q_proj"
    fits = {f"{name}.lora_A.weight": (4, 16), f"{name}.lora_B.weight": (16, 4)}

    assert checked(tmp_path / "a", with_shapes(fits), base).warnings == ()
    wrong = fits | {f"{name}.lora_B.weight": (8, 4)}
    assert refused(tmp_path / "b", with_shapes(wrong), base).reason == Reason.SHAPE_MISMATCH


def test_embeddings_are_the_other_way_round_and_a_tied_head_is_theirs(tmp_path: Path, base: Path) -> None:
    embedding = "base_model.model.model.embed_tokens"
    head = "base_model.model.lm_head"
    fits = {
        f"{embedding}.lora_embedding_A": (4, 64),
        f"{embedding}.lora_embedding_B": (16, 4),
        f"{embedding}.base_layer.weight": (64, 16),
        f"{head}.lora_A.weight": (4, 16),
        f"{head}.lora_B.weight": (64, 4),
    }

    assert checked(tmp_path / "a", with_shapes(fits), base).warnings == ()
    wrong = fits | {f"{head}.lora_B.weight": (65, 4)}
    assert refused(tmp_path / "b", with_shapes(wrong), base).reason == Reason.SHAPE_MISMATCH


def test_weights_that_are_stored_transposed_are_read_so(tmp_path: Path) -> None:
    base = lora.written(
        tmp_path / "base",
        {
            "config.json": b'{"model_type": "gpt2"}',
            "model.safetensors": lora.safetensors({"transformer.h.0.attn.c_attn.weight": (16, 48)}),
        },
    )
    name = "base_model.model.transformer.h.0.attn.c_attn"
    shapes = {f"{name}.lora_A.weight": (4, 16), f"{name}.lora_B.weight": (48, 4)}

    assert checked(tmp_path / "a", with_shapes(shapes, fan_in_fan_out=True), base).warnings == ()
    assert refused(tmp_path / "b", with_shapes(shapes), base).reason == Reason.SHAPE_MISMATCH


def experts(tmp_path: Path) -> tuple[dict[str, bytes], Path]:
    base = lora.base_model(
        tmp_path / "base", weights=False, model_type="qwen3_moe", num_experts=8, head_dim=4
    )
    name = "base_model.model.model.layers.0.mlp.experts.3.gate_proj"
    shapes = {f"{name}.lora_A.weight": (4, 16), f"{name}.lora_B.weight": (8, 4)}
    return with_shapes({**lora.adapter_shapes(modules={"self_attn.q_proj": (16, 16)}), **shapes}), base


def test_experts_are_told_of_and_attention_beside_them_is_checked(tmp_path: Path) -> None:
    files, base = experts(tmp_path)
    (warning,) = checked(tmp_path / "a", files, base).warnings
    assert warning.reason == "SHAPES_UNCHECKED"
    assert "layers.0.mlp.experts.3.gate_proj" in warning.message

    attention = lora.adapter_shapes(modules={"self_attn.q_proj": (24, 16)})
    assert refused(tmp_path / "b", with_shapes(attention), base).reason == Reason.SHAPE_MISMATCH


def test_experts_with_weights_of_their_own_are_checked_as_any(tmp_path: Path) -> None:
    files, base = experts(tmp_path)
    weights = {
        "model.layers.0.mlp.experts.3.gate_proj.weight": (8, 16),
        "model.layers.0.self_attn.q_proj.weight": (16, 16),
        "model.layers.1.self_attn.q_proj.weight": (16, 16),
    }
    lora.written(base, {"model.safetensors": lora.safetensors(weights)})
    assert checked(tmp_path / "a", files, base).warnings == ()


def test_what_cannot_be_checked_is_a_warning_or_where_asked_a_refusal(tmp_path: Path) -> None:
    found = checked(tmp_path / "a", lora.adapter(), None, Limits(8))
    assert {warning.reason for warning in found.warnings} == {"SHAPES_UNCHECKED", "BASE_MODEL_UNCHECKED"}

    error = refused(tmp_path / "b", lora.adapter(), None, Limits(8, strict=True))
    assert error.reason == Reason.UNCHECKED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "SHAPES_UNCHECKED"),
        (b'{"model_type": "unheard-of"}', "SHAPES_UNCHECKED"),
        (b'{"model_type": "llama", "hidden_size": "16"}', "SHAPES_UNCHECKED"),
        (b"[[[", "SHAPES_UNCHECKED"),
    ],
)
def test_a_base_folder_that_tells_nothing_is_as_good_as_none(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    base = lora.written(tmp_path / "base", {"config.json": content, "model.safetensors": b"broken"})
    assert [warning.reason for warning in checked(tmp_path / "a", lora.adapter(), base).warnings] == [reason]


def test_packed_weights_do_not_tell_but_config_json_does(tmp_path: Path) -> None:
    base = lora.base_model(tmp_path / "base", weights=False)
    packed = {f"{name.removesuffix('.weight')}.qweight": (2, 16) for name in lora.base_weights()}
    lora.written(base, {"model.safetensors": lora.safetensors(packed, dtype="I32", width=4)})

    assert checked(tmp_path / "a", lora.adapter(), base).warnings == ()
    wrong = changed("self_attn.q_proj", (4, 16), (24, 4))
    assert refused(tmp_path / "b", wrong, base).reason == Reason.SHAPE_MISMATCH


# ranks and scales


@pytest.mark.parametrize(
    ("files", "limits", "reason"),
    [
        (lora.adapter(16), LIMITS, Reason.RANK_TOO_HIGH),
        (
            with_shapes(lora.adapter_shapes(16)),
            LIMITS,
            Reason.RANK_TOO_HIGH,
        ),  # the tensors' own, whatever is said
        (lora.adapter(rank_pattern={"k_proj": 16}), LIMITS, Reason.RANK_TOO_HIGH),
        (with_shapes(lora.adapter_shapes(2)), LIMITS, Reason.RANK_MISMATCH),
        (lora.adapter(), Limits(8, ("example/tiny",), rank=8), Reason.RANK_MISMATCH),
        (changed("self_attn.q_proj", (4, 16), (16, 2)), LIMITS, Reason.SHAPE_MISMATCH),
    ],
)
def test_a_rank_that_does_not_fit_is_refused(
    tmp_path: Path, base: Path, files: dict[str, bytes], limits: Limits, reason: Reason
) -> None:
    assert refused(tmp_path, files, base, limits).reason == reason


@pytest.mark.parametrize("key", ["1.self_attn.k_proj", "^model.layers.1.self_attn.k_proj$"])
def test_a_module_may_have_a_rank_of_its_own(tmp_path: Path, base: Path, key: str) -> None:
    name = "base_model.model.model.layers.1.self_attn.k_proj"
    wider = {f"{name}.lora_A.weight": (8, 16), f"{name}.lora_B.weight": (8, 8)}
    shapes = {**lora.adapter_shapes(), **wider}

    assert checked(tmp_path / "a", with_shapes(shapes, rank_pattern={key: 8}), base).rank == 8
    other = with_shapes(shapes, rank_pattern={"attn.k_proj": 8})  # the end of the name, but of no part of it
    assert refused(tmp_path / "b", other, base).reason == Reason.RANK_MISMATCH


def test_an_expression_is_told_of_and_not_run(tmp_path: Path, base: Path) -> None:
    (warning,) = checked(tmp_path, lora.adapter(rank_pattern={r".*\.1\..*k_proj": 4}), base).warnings
    assert warning.reason == "RANKS_UNCHECKED"


@pytest.mark.parametrize("key", ["(a+)+$", "(a|a)*b", "a" * 300, ".*.*.*.*.*x"])
@pytest.mark.parametrize("name", ["rank_pattern", "alpha_pattern"])
def test_an_expression_that_would_hold_vllm_up_is_refused(
    tmp_path: Path, base: Path, name: str, key: str
) -> None:
    assert refused(tmp_path, lora.adapter(**{name: {key: 4}}), base).reason == Reason.UNSUPPORTED_ADAPTER


# names


@pytest.mark.parametrize(
    ("says", "server", "fits"),
    [
        ("example/tiny", "example/tiny", True),
        ("Example/Tiny/", "example/tiny", True),
        ("example/tiny-2", "example/tiny", False),
        ("other/tiny", "example/tiny", False),
        ("/mnt/models/tiny", "example/tiny", True),
        ("./tiny", "example/tiny", True),
        ("/mnt/models/other", "example/tiny", False),
        ("example/tiny", "/models/tiny", True),
        ("unsloth/tiny-bnb-4bit", "example/tiny,unsloth/*", True),
    ],
)
def test_the_base_model_is_compared_by_its_name(
    tmp_path: Path, base: Path, says: str, server: str, fits: bool
) -> None:
    files = lora.adapter(base_model_name_or_path=says)
    limits = Limits(8, tuple(server.split(",")))
    if fits:
        assert checked(tmp_path, files, base, limits).warnings == ()
    else:
        assert refused(tmp_path, files, base, limits).reason == Reason.BASE_MODEL_MISMATCH


# the configuration


@pytest.mark.parametrize(
    "fields",
    [
        {"peft_type": "LOHA"},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"lora_bias": True},
        {"layer_replication": [[0, 1], [0, 1]]},
        {"trainable_token_indices": [1]},
        {"alora_invocation_tokens": [1, 2]},
        {"use_bdlora": {"a": 1}},
        {"init_lora_weights": "pissa"},
    ],
)
def test_what_vllm_does_not_do_is_refused(tmp_path: Path, base: Path, fields: dict[str, Any]) -> None:
    assert refused(tmp_path, lora.adapter(**fields), base).reason == Reason.UNSUPPORTED_ADAPTER


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector": (16,)},
        {"base_model.model.model.layers.0.self_attn.q_proj.bias": (16,)},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": (4, 16)},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 16, 2)},
    ],
)
def test_tensors_that_vllm_does_not_load_are_refused(tmp_path: Path, base: Path, shapes: lora.Shapes) -> None:
    assert refused(tmp_path, with_shapes(shapes), base).reason == Reason.UNSUPPORTED_ADAPTER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        lora.config(r=None),
        lora.config(r=0),
        lora.config(r=True),
        lora.config(r="4"),
        lora.config(lora_alpha="8"),
        lora.config(lora_alpha=float("inf")),
        lora.config(target_modules=None),
        lora.config(target_modules=[1]),
        lora.config(rank_pattern=[1]),
        lora.config(alpha_pattern={"q_proj": "8"}),
        lora.config(rank_pattern={"q_proj": -1}),
        lora.config(base_model_name_or_path=5),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, base: Path, content: bytes) -> None:
    assert refused(tmp_path, {**lora.adapter(), "adapter_config.json": content}, base).reason == (
        Reason.CONFIG_INVALID
    )


def test_a_pickle_by_another_name_is_refused(tmp_path: Path, base: Path) -> None:
    files = {**lora.adapter(), "adapter_model.safetensors": b"\x80\x04\x95" + b"x" * 64}
    assert refused(tmp_path, files, base).reason == Reason.NOT_SAFETENSORS


def test_one_half_without_the_other_is_refused(tmp_path: Path, base: Path) -> None:
    shapes = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 16)}
    assert refused(tmp_path, with_shapes(shapes), base).reason == Reason.SHAPE_MISMATCH


def test_the_config_of_a_model_that_also_sees_is_read_within(tmp_path: Path) -> None:
    config = {"model_type": "gemma3", "text_config": {**lora.BASE_CONFIG, "model_type": "gemma3_text"}}
    base = lora.written(tmp_path / "base", {"config.json": json.dumps(config).encode()})
    assert checked(tmp_path / "a", lora.adapter(), base).warnings == ()
