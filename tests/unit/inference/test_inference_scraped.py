"""What is read of vLLM's metrics; lines as vLLM 0.32.0 writes them."""

import pytest

from sluice_inference.domain.routing.scraped import Scraped, read

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="tiny"} 7.0
# HELP vllm:lora_requests_info Running stats on lora requests.
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{max_lora="2",running_lora_adapters="",waiting_lora_adapters=""} 1.7954520031002479e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="a1,a3",waiting_lora_adapters="a1,a3"} 1.795452003102e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="a2",waiting_lora_adapters="a2"} 1.7954519535970018e+09
"""


def test_load_and_adapters_of_the_latest_line():
    assert read(METRICS) == Scraped(5.0, 0.25, frozenset({"a1", "a3"}), 2)


def test_engines_of_one_server_are_added_up():
    second = METRICS.replace('engine="0"', 'engine="1"').replace("0.25", "0.75")
    seen = read(METRICS + second)
    assert seen is not None
    assert (seen.requests, seen.kv_usage) == (10.0, 0.75)


def test_server_without_adapters_has_no_slots():
    text = "".join(line for line in METRICS.splitlines(keepends=True) if "lora" not in line)
    assert read(text) == Scraped(5.0, 0.25)


@pytest.mark.parametrize("text", ["", "# HELP up\nup 1\n", "<html>Not found</html>"])
def test_other_servers_are_no_vllm(text: str):
    assert read(text) is None


@pytest.mark.parametrize(
    "line", ['vllm:num_requests_running{engine="0"} many\n', "vllm:num_requests_running{engine\n"]
)
def test_what_cannot_be_read_is_said_so(line: str):
    with pytest.raises(ValueError, match=r"."):
        read(METRICS + line)
