"""The error for a request that a limit of its tenant or its key stands against."""

from sluice_servicekit.errors import ResourceExhausted


class LimitExceeded(ResourceExhausted):
    """A limit of the caller's own stands against it; `quota` names it: `tenant:acme/requests_per_minute`."""

    default_reason = "RATE_LIMIT_EXCEEDED"

    def __init__(
        self, message: str, *, reason: str | None = None, retry_after: float | None = None, quota: str = ""
    ) -> None:
        super().__init__(message, reason=reason, retry_after=retry_after)
        self.quota = quota
