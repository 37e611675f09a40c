"""Asks the gateway what an experiment has shown, and says in people's words why it cannot. The edge."""

from sluice_operator.kinds.adapter_experiment.context import Look
from sluice_operator.outcomes.protocol import Outcomes
from sluice_servicekit import errors

_REASONS: tuple[tuple[type[errors.ServiceError], str, str], ...] = (
    (
        errors.Unauthenticated,
        "KeyRefused",
        "Put an admin's key into the Secret that SLUICE_GATEWAY_KEY_FILE is of.",
    ),
    (
        errors.PermissionDenied,
        "KeyRefused",
        "Put an admin's key into the Secret that SLUICE_GATEWAY_KEY_FILE is of.",
    ),
    (
        errors.NotFound,
        "ExperimentUnknown",
        "Within seconds it is known; where not, see that the gateway follows this operator's snapshots.",
    ),
    (
        errors.FailedPrecondition,
        "AnswerUnreadable",
        "Set SLUICE_GATEWAY_URL to the gateway's HTTP API; it has to be of the operator's release.",
    ),
    (
        errors.ServiceError,
        "GatewayUnreachable",
        "See that the gateway's pods are ready and that the operator may reach them.",
    ),
)


async def look(outcomes: Outcomes | None, experiment: str, since: float, now: float) -> Look:
    """One look; never raises for what the gateway says or does not say."""
    if outcomes is None:
        message = (
            "The operator does not know the gateway. Set its SLUICE_GATEWAY_URL and SLUICE_GATEWAY_KEY_FILE."
        )
        return Look(now, since, reason="NoGateway", message=message)
    try:
        return Look(now, since, await outcomes.report(experiment, since))
    except errors.ServiceError as error:
        reason, remedy = next(
            (reason, remedy) for kind, reason, remedy in _REASONS if isinstance(error, kind)
        )
        said = error.message.rstrip(".")
        return Look(now, since, reason=reason, message=f"{said[:1].upper()}{said[1:]}. {remedy}")
