"""What a pipeline's engine can be asked for. Pure."""

from sluice_api.objects.pipeline import PipelineSpec
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.model import RunRequest
from sluice_servicekit.errors import InvalidArgument


def require_able(snapshot: Snapshot, pipeline: PipelineSpec, request: RunRequest) -> None:
    """Checks that the engine can do what is asked for.

    Raises:
        InvalidArgument: only a model can (`UNSUPPORTED_VALUE`), and the pipeline's engine quotes sentences.
    """
    server = snapshot.model_servers.get(pipeline.steps.generate.model_server_ref)
    if server is None or server.extractive is None:
        return
    sampling = request.sampling
    asked = {
        "tools": request.tools.callable,
        "n": sampling.n > 1,
        "logprobs": sampling.top_logprobs is not None,
        "response_format": request.answer_format.is_json,
    }
    for field, wanted in asked.items():
        if wanted:
            raise InvalidArgument(
                f"the pipeline {request.pipeline!r} answers with the extractive engine, which only quotes sentences: "
                f"{field} needs a pipeline whose model server is a language model",
                reason="UNSUPPORTED_VALUE",
                field=field,
            )
