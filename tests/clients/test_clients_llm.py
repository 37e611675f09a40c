"""The command line `llm`, with the gateway as a model of its own."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from support.serving import KEY, QUESTION, Serving


def _llm(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": ""}
    done = subprocess.run(
        [Path(sys.executable).with_name("llm"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_prompt_streamed_and_whole(gateway: Serving, tmp_path: Path):
    pipelines = [
        {
            "model_id": f"sluice-{name}",
            "model_name": name,
            "api_base": gateway.base_url,
            "api_key_name": "sluice",
            "supports_schema": True,
        }
        for name in ("default", "windowed")
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump(pipelines))
    asked = ("--key", KEY, QUESTION)
    assert _llm(tmp_path, "-m", "sluice-windowed", *asked).startswith("It is 40 hours [1].")
    gateway.model_server.json = ('{"hours": 40}',)
    schema = ("--schema", "hours int", "--no-stream")
    assert _llm(tmp_path, "-m", "sluice-default", *schema, *asked).strip() == '{"hours": 40}'
