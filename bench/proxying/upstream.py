"""A server of OpenAI's chat completions that answers at once, whole or streamed, always the same.

PYTHONPATH=bench python -m proxying.upstream 8001
"""

import json
import sys
import time

import uvloop
from aiohttp import web

WORDS = (
    "The first kiln takes forty hours [1] and is then left to cool for a day before it is opened .".split()
)
USAGE = {"prompt_tokens": 40, "completion_tokens": len(WORDS), "total_tokens": 40 + len(WORDS)}


async def answer(request: web.Request) -> web.StreamResponse:
    """The answer, in the form that is asked for."""
    body = await request.json()
    identity = {"id": "chatcmpl-1", "created": int(time.time()), "model": body["model"]}
    if not body.get("stream"):
        message = {"role": "assistant", "content": " ".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response(
            {**identity, "object": "chat.completion", "choices": [choice], "usage": USAGE}
        )
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    base = {**identity, "object": "chat.completion.chunk"}
    for start in range(0, len(WORDS), 5):
        delta = {"content": " ".join(WORDS[start : start + 5]) + " "}
        await _frame(response, {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    await _frame(response, {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    await _frame(response, {**base, "choices": [], "usage": USAGE})
    await response.write(b"data: [DONE]\n\n")
    return response


async def _frame(response: web.StreamResponse, content: dict[str, object]) -> None:
    await response.write(f"data: {json.dumps(content)}\n\n".encode())


async def health(_: web.Request) -> web.Response:
    """It is there."""
    return web.Response(text="ok")


def main() -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/healthz", health)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
