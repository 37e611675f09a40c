"""Errors keep their meaning on the way over gRPC and HTTP."""

import pytest

from sluice_servicekit import errors, status_mapping


def test_every_error_class_has_exactly_one_row() -> None:
    classes = [
        cls for name, cls in vars(errors).items() if isinstance(cls, type) and not name.startswith("_")
    ]
    leaves = [
        cls for cls in classes if issubclass(cls, errors.ServiceError) and cls is not errors.ServiceError
    ]

    rows = [row[0] for row in status_mapping.TABLE]

    assert sorted(rows, key=repr) == sorted(leaves, key=repr)


def test_no_two_errors_share_a_grpc_code() -> None:
    codes = [row[1] for row in status_mapping.TABLE]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("error", "want_http"),
    [
        (errors.InvalidArgument("no"), 400),
        (errors.Unauthenticated("no"), 401),
        (errors.NotFound("no"), 404),
        (errors.Conflict("no"), 409),
        (errors.ResourceExhausted("no"), 429),
        (errors.Unavailable("no"), 503),
        (errors.DeadlineExceeded("no"), 504),
        (errors.Internal("no"), 500),
    ],
)
def test_http_status(error: errors.ServiceError, want_http: int) -> None:
    assert status_mapping.http_status(error) == want_http


def test_a_subclass_is_mapped_like_its_parent() -> None:
    class KnowledgeBaseMissing(errors.NotFound):
        pass

    assert status_mapping.http_status(KnowledgeBaseMissing("no")) == 404
