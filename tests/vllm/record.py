"""Records what a vLLM answers to calls that no older recording holds: `python vllm/record.py URL KEY ADAPTERS`.

ADAPTERS is a folder of `support.adapter_files`. Prints the recording, without the folder's name; of the metrics the
server's own are kept, without buckets and times of creation.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from support.vllm_recordings import Case, ask

Json = dict[str, Any]

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_LOAD, _UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
_MESSAGES = [{"role": "user", "content": "the quick"}]
_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
_CONTINUOUS = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}


def _chat(**more: Any) -> Json:
    return {"model": "tiny", "messages": _MESSAGES, "temperature": 0, "max_tokens": 2} | more


def _completion(**more: Any) -> Json:
    return {"model": "a1", "prompt": "the quick", "temperature": 0, "max_tokens": 3} | more


#: Name, method, path, body, and headers other than the right ones.
CALLS: list[tuple[str, str, str, Any, Json]] = [
    ("models without a key", "GET", "/v1/models", None, {"authorization": ""}),
    ("load with another key", "POST", _LOAD, {"lora_name": "a"}, {"authorization": "Bearer other"}),
    ("health without a key", "GET", "/health", None, {"authorization": ""}),
    ("version", "GET", "/version", None, {}),
    ("a path that is none", "GET", "/nothing", None, {}),
    ("a method that is none", "GET", _LOAD, None, {}),
    ("load: not JSON by its type", "POST", _LOAD, {}, {"content-type": "text/plain"}),
    ("load: another kind of JSON", "POST", _LOAD, [], {}),
    ("load: no fields", "POST", _LOAD, {}, {}),
    ("load: the base model's name", "POST", _LOAD, {"lora_name": "tiny", "lora_path": "/adapters/a1"}, {}),
    ("load: a1", "POST", _LOAD, {"lora_name": "a1", "lora_path": "/adapters/a1"}, {}),
    ("unload: empty name", "POST", _UNLOAD, {"lora_name": ""}, {}),
    ("unload: no fields", "POST", _UNLOAD, {}, {}),
    ("tokenize without a key", "POST", "/tokenize", {"prompt": "the quick"}, {"authorization": ""}),
    ("tokenize: strings", "POST", "/tokenize", {"prompt": "the quick", "return_token_strs": True}, {}),
    ("tokenize: a conversation", "POST", "/tokenize", {"model": "a1", "messages": _MESSAGES}, {}),
    ("tokenize: unknown model", "POST", "/tokenize", {"model": "unknown", "prompt": "a"}, {}),
    ("tokenize: nothing", "POST", "/tokenize", {"model": "tiny"}, {}),
    ("detokenize", "POST", "/detokenize", {"model": "tiny", "tokens": [69, 70]}, {}),
    ("detokenize: unknown model", "POST", "/detokenize", {"model": "unknown", "tokens": [69]}, {}),
    ("detokenize: nothing", "POST", "/detokenize", {"model": "tiny"}, {}),
    ("completion", "POST", _COMPLETIONS, _completion(), {}),
    ("completion stream", "POST", _COMPLETIONS, _completion(stream=True), {}),
    ("completion stream with usage", "POST", _COMPLETIONS, _completion(**_USAGE), {}),
    ("completion stream with continuous usage", "POST", _COMPLETIONS, _completion(**_CONTINUOUS), {}),
    ("completion: no model", "POST", _COMPLETIONS, {"prompt": "the quick", "max_tokens": 2}, {}),
    ("completion: no prompt", "POST", _COMPLETIONS, {"model": "tiny", "max_tokens": 2}, {}),
    ("chat", "POST", _CHAT, _chat(), {}),
    ("chat stream without usage", "POST", _CHAT, _chat(stream=True), {}),
    ("chat: no messages", "POST", _CHAT, {"model": "tiny"}, {}),
    ("chat: empty messages", "POST", _CHAT, _chat(messages=[]), {}),
    ("chat: unknown model", "POST", _CHAT, _chat(model="unknown"), {}),
    (
        "chat: stream options without a stream",
        "POST",
        _CHAT,
        _chat(stream_options={"include_usage": True}),
        {},
    ),
    ("chat: limit over the context", "POST", _CHAT, _chat(max_tokens=5000), {}),
    ("chat: other limit over the context", "POST", _CHAT, _chat(max_completion_tokens=5000), {}),
    (
        "chat: more tokens than the context",
        *("POST", _CHAT, _chat(messages=[{"role": "user", "content": "Q9#z" * 1300}]), {}),
    ),
    ("metrics", "GET", "/metrics", None, {"authorization": ""}),
]


def main(url: str, key: str, adapters: Path) -> None:
    """Asks, and prints."""
    recording = []
    with httpx.Client(base_url=url, timeout=120.0, headers={"authorization": f"Bearer {key}"}) as client:
        for name, method, path, body, headers in CALLS:
            answer = ask(client, Case(name, method, path, body, headers), adapters)
            text = _own(answer.body) if path == "/metrics" else answer.body
            request: Json = {"method": method, "path": path, "body": body}
            if headers:
                request["headers"] = headers
            response = {"status": answer.status, "content_type": answer.content_type, "body": text}
            recording.append({"case": name, "request": request, "response": response})
    print(json.dumps(recording, indent=1, ensure_ascii=False))  # noqa: T201


def _own(exposition: str) -> str:
    lines = re.findall(r"^(?:# TYPE )?vllm:.*$", exposition, re.MULTILINE)
    kept = [line for line in lines if not re.search(r"(_bucket\{|_created[ {])", line)]
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
