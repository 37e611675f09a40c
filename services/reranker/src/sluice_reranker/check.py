"""`python -m sluice_reranker.check RANKER`: whether a ranker, as a pipeline has it, in JSON, can rank here; for
`sluice doctor`. Prints one line of JSON: the `model`, and the `seconds` of a passage, or the `problem`."""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from sluice_api.objects.ranker import Ranker
from sluice_api.objects.steps import RerankStep
from sluice_reranker.batching.pool import Workers
from sluice_reranker.domain.model import Candidate, Question
from sluice_reranker.rankers.registry import Rankers
from sluice_reranker.settings import RerankerSettings
from sluice_servicekit.errors import ServiceError

_SECONDS = 10.0


def main() -> None:
    """The check."""
    spec = Ranker.model_validate_json(sys.argv[1])
    sys.stdout.write(json.dumps(asyncio.run(_look(spec, RerankerSettings()))) + "\n")


async def _look(spec: Ranker, settings: RerankerSettings) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as cache:  # what is made of a model here leaves nothing behind
        rankers = Rankers(Workers(1), Path(cache), settings.secrets_dir)
        try:
            await rankers.apply({"looked-at": RerankStep(ranker=spec)})
            ranker = rankers.get("looked-at")
            started = time.monotonic()
            passage = [Candidate("", "It is 40 hours.", 0.0)]
            ranking = await ranker.rank(Question("How long is it?"), passage, 0, started + _SECONDS)
            if not ranking.scored:
                return {"problem": f"it did not score a passage within {_SECONDS:g} s"}
            return {"model": ranker.model, "seconds": time.monotonic() - started}
        except ServiceError as error:
            return {"problem": error.message}
        finally:
            await rankers.close()


if __name__ == "__main__":
    main()
