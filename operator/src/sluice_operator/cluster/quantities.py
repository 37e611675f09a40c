"""Kubernetes' quantities as numbers, read by the official client."""

from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity


def quantity(text: str) -> Decimal:
    """The number that `500m`, `4` or `20Gi` is.

    Raises:
        ValueError: it is none.
    """
    return Decimal(parse_quantity(text))  # type: ignore[no-untyped-call]
