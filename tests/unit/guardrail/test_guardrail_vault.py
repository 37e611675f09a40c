"""The vault opens for the run it was sealed for, for a while, and for nobody else."""

import base64
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_guardrail import vault_keys
from sluice_guardrail.domain.redacting.placeholders import Placeholder
from sluice_guardrail.domain.vault import Binding, Key, Vault
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, ServiceError

RUN = Binding("press", "run-1", "default")
VALUES = {
    Placeholder("EMAIL", 1): "nora.quill@example.com",
    Placeholder("CREDIT_CARD", 2): "4111 1111 1111 1111",
}


def _key() -> Key:
    return Key.of(secrets.token_bytes(32))


KEY = _key()
SEALED = Vault([KEY]).seal(VALUES, RUN)


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_sealed_opens_for_the_same_run_in_another_replica():
    sealed = Vault([KEY]).seal(VALUES, RUN)
    assert Vault([KEY]).open(sealed, RUN) == VALUES


def test_nothing_can_be_read_in_it_and_no_two_are_alike():
    sealed = Vault([KEY]).seal(VALUES, RUN)
    assert b"nora" not in sealed
    assert b"EMAIL" not in sealed
    assert KEY.secret not in sealed
    assert sealed != Vault([KEY]).seal(VALUES, RUN)


def test_nothing_to_keep_makes_no_vault():
    assert Vault([KEY]).seal({}, Binding("", "", "")) == b""
    assert Vault([KEY]).open(b"", RUN) == {}


@pytest.mark.parametrize(
    "other",
    [
        Binding("another", "run-1", "default"),
        Binding("press", "run-2", "default"),
        Binding("press", "run-1", "strict"),
        Binding("pressrun-1", "", "default"),
    ],
)
def test_another_tenants_runs_or_policys_vault_does_not_open(other: Binding):
    sealed = Vault([KEY]).seal(VALUES, RUN)
    with pytest.raises(InvalidArgument, match="another tenant's, run's or policy's") as refused:
        Vault([KEY]).open(sealed, other)
    assert refused.value.reason == "VAULT_INVALID"


@given(st.data())
def test_vault_with_any_bit_changed_does_not_open(data: st.DataObject):
    sealed = bytearray(SEALED)
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ServiceError, match="vault"):
        Vault([KEY]).open(bytes(sealed), RUN)


@given(st.binary(min_size=1, max_size=64))
def test_what_is_no_vault_is_refused(sealed: bytes):
    with pytest.raises(ServiceError, match="vault"):
        Vault([KEY]).open(sealed, RUN)


def test_vault_expires():
    clock = _Clock()
    sealed = Vault([KEY], 60.0, clock).seal(VALUES, RUN)
    clock.now += 60.0
    assert Vault([KEY], 60.0, clock).open(sealed, RUN) == VALUES
    clock.now += 0.1
    with pytest.raises(FailedPrecondition, match="expired") as refused:
        Vault([KEY], 60.0, clock).open(sealed, RUN)
    assert refused.value.reason == "VAULT_EXPIRED"


def test_keys_rotate_without_losing_a_run():
    old, new = _key(), _key()
    sealed = Vault([old, new]).seal(VALUES, RUN)
    assert Vault([new, old]).open(sealed, RUN) == VALUES
    assert new.id in Vault([new, old]).seal(VALUES, RUN)
    with pytest.raises(FailedPrecondition, match="a key that is not here") as refused:
        Vault([new]).open(sealed, RUN)
    assert refused.value.reason == "VAULT_KEY_UNKNOWN"


def test_more_than_can_travel_is_refused():
    with pytest.raises(InvalidArgument, match="more than") as refused:
        Vault([KEY]).seal({Placeholder("PRIVATE_KEY", 1): "x" * 300_000}, RUN)
    assert refused.value.reason == "VAULT_TOO_LARGE"


def test_run_without_an_id_cannot_have_one():
    with pytest.raises(InvalidArgument, match="run's id"):
        Vault([KEY]).seal(VALUES, Binding("press", "", "default"))


def test_key_does_not_show_in_what_is_printed():
    assert repr(KEY.secret)[2:-1] not in repr(KEY)


def _file(path: Path, *lines: str, mode: int = 0o600) -> Path:
    path.write_text("\n".join(lines))
    path.chmod(mode)
    return path


def _line() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def test_keys_are_read_in_order_with_remarks(tmp_path: Path):
    first, second = _line(), _line()
    keys = vault_keys.find(_file(tmp_path / "keys", "# vault", "", f"{first}  # new", second), None, tmp_path)
    assert [key.secret for key in keys] == [base64.b64decode(first), base64.b64decode(second)]


def test_key_among_the_secrets_is_taken_where_none_is_named(tmp_path: Path):
    line = _line()
    _file(tmp_path / "vault.key", line, mode=0o440)
    (key,) = vault_keys.find(None, tmp_path, tmp_path / "data")
    assert key.secret == base64.b64decode(line)
    assert not (tmp_path / "data").exists()


def test_key_is_made_once_for_a_data_folder_and_for_its_owner_alone(tmp_path: Path):
    made = vault_keys.find(None, None, tmp_path / "guardrail")
    assert vault_keys.find(None, tmp_path, tmp_path / "guardrail") == made
    assert (tmp_path / "guardrail" / "vault.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "guardrail").iterdir()] == ["vault.key"]


def test_where_nothing_can_be_written_the_key_is_random_and_a_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    file = _file(tmp_path / "file", "")
    assert vault_keys.find(None, None, file / "data") != vault_keys.find(None, None, file / "data")
    assert "SLUICE_VAULT_KEY_FILE" in caplog.text


@pytest.mark.parametrize(
    ("lines", "mode", "message"),
    [
        ((), 0o600, "no key"),
        (("c2hvcnQ=",), 0o600, ":1: a key is 32 bytes"),
        (("not base64",), 0o600, ":1: a key is 32 bytes"),
        ((_line(),), 0o644, "everybody may read"),
    ],
)
def test_file_of_keys_that_cannot_be_used_is_refused(
    tmp_path: Path, lines: tuple[str, ...], mode: int, message: str
):
    with pytest.raises(FailedPrecondition, match=message):
        vault_keys.find(_file(tmp_path / "keys", *lines, mode=mode), None, tmp_path)


def test_file_of_keys_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FailedPrecondition, match="cannot be read"):
        vault_keys.find(tmp_path / "keys", None, tmp_path)
