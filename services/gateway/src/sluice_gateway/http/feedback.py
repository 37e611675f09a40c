"""`POST /v1/feedback`: what somebody says of an answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field, WithJsonSchema

from sluice_gateway.experiments.feedback import Opinion
from sluice_gateway.http.bodies import RequestModel, read
from sluice_gateway.http.described import described
from sluice_gateway.http.replies.experiments import FeedbackReply
from sluice_gateway.http.state import of, principal

router = APIRouter()

Json = dict[str, Any]
Label = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]

_RATINGS = {"up": 1.0, "down": 0.0}
_RATING_SCHEMA = {"anyOf": [{"enum": list(_RATINGS)}, {"type": "number", "minimum": 0, "maximum": 1}]}


def _number(rating: object) -> object:
    if not isinstance(rating, str):
        return rating
    if rating not in _RATINGS:
        raise ValueError("must be up, down, or a number from 0 to 1")
    return _RATINGS[rating]


class FeedbackBody(RequestModel):
    """An opinion on a run."""

    run_id: Annotated[str, Field(max_length=64)]
    rating: Annotated[float, Field(ge=0, le=1), BeforeValidator(_number), WithJsonSchema(_RATING_SCHEMA)]
    """`up`, `down`, or a number."""
    comment: Annotated[str, Field(max_length=4096)] = ""
    labels: Annotated[list[Label], Field(max_length=8)] = Field(default=[])

    def opinion(self) -> Opinion:
        """The body as the gateway takes it."""
        return Opinion(self.rating, self.comment, tuple(dict.fromkeys(self.labels)))


@router.post(
    "/v1/feedback",
    **described(
        "experiments",
        FeedbackReply,
        body=FeedbackBody,
        errors=(404,),
        example={"run_id": "0199e3a4-0000-7000-8000-000000000000", "rating": "up"},
    ),
)
async def give_feedback(request: Request) -> Json:
    """Takes it; given again, the last one counts."""
    state = of(request)
    who = principal(request)
    body = await read(request, FeedbackBody, state.settings.max_body_bytes)
    record = await state.gateway.run(who, body.run_id)
    taken = await state.experiments.feedback.give(who, record, body.opinion())
    return {
        "run_id": record.run_id,
        "rating": taken.rating,
        "comment_kept": taken.comment_kept,
        "experiment": taken.experiment,
        "arm": taken.arm,
    }
