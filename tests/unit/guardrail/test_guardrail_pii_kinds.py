"""Kinds of personal data beyond the first: credentials, devices, wallets, dates of birth, ids of other countries."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.pii.checked_number import CheckedNumber
from sluice_guardrail.domain.pii.recogniser import Scan
from sluice_guardrail.domain.pii.recognisers import recognisers
from sluice_guardrail.domain.texts import Text

DETECTOR = PiiDetector(PiiSpec())
THRESHOLD = PiiSpec().threshold
CHECKED = [each for each in recognisers(tuple(PiiEntity)) if isinstance(each, CheckedNumber)]

#: Put together here, so that nobody's scanner takes them for keys.
RANDOM = "q7Zt9LmX2vKp4RsW8yBn3HcJ6dFg1TaE5uQo0iPe7Zt9LmX2vKp4RsW8yBn3HcJ6dFg1"
BODY = "\n".join(RANDOM[at : at + 64] for at in range(0, 64, 64)) + "\n" + RANDOM[:40]
ARMOUR = "-----{} RSA PRIVATE " + "KEY-----"
PEM = f"{ARMOUR.format('BEGIN')}\n{BODY}\n{ARMOUR.format('END')}"
HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
PAYLOAD = base64.urlsafe_b64encode(b'{"sub":"1234567890","name":"Nora Quill"}').decode().rstrip("=")
TOKEN = f"{HEADER}.{PAYLOAD}.{RANDOM[:43]}"


def _found(text: str) -> list[tuple[str, str]]:
    """Category and text of what counts."""
    return [
        (finding.category, text[finding.span.start : finding.span.end])
        for finding in DETECTOR.detect(Text(text)).findings
        if finding.score >= THRESHOLD
    ]


@pytest.mark.parametrize(
    ("category", "value", "text"),
    [
        ("api-key", "AKIA" + "Q3EGRTX7LMNB2VWZ", "aws_access_key_id = {}"),
        ("api-key", "ghp_" + RANDOM[:36], "export GITHUB={}"),
        ("api-key", "xoxb-" + "123456789012-123456789012-" + RANDOM[:24], "Use {}, please."),
        ("api-key", "AIza" + RANDOM[:35], '"{}"'),
        ("api-key", "sk_live_" + RANDOM[:24], "It is {}."),
        ("api-key", "sk-proj-" + RANDOM[:48], "It is {}."),
        ("api-key", "glpat-" + RANDOM[:20], "clone with {}"),
        ("private-key", PEM, "Here:\n{}\nKeep it."),
        ("private-key", PEM.replace("\n", "\\n"), '{{"key": "{}"}}'),
        ("json-web-token", TOKEN, "Authorization: Bearer {}"),
        ("secret", "Summer-2024!x", "My password is {}."),
        ("secret", "hunter22", "password: {}"),
        ("secret", "pa55wort", "Das Passwort lautet: {}"),
        ("secret", RANDOM[:32], "api_key = '{}'"),
        ("secret", RANDOM[:40], '"client_secret": "{}"'),
        ("crypto-wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "Pay {} now"),
        ("crypto-wallet", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "Pay {} now"),
        ("crypto-wallet", "0x52908400098527886E0F7030069857D2E4169EE7", "My wallet: {}"),
        ("mac-address", "3c:5a:b4:12:34:56", "Its MAC address is {}."),
        ("mac-address", "3C-5A-B4-12-34-56", "It answers as {} here"),
        ("imei", "490154203237518", "IMEI: {}"),
        ("date-of-birth", "14.03.1984", "Geburtsdatum: {}"),
        ("date-of-birth", "1984-03-14", "DOB {}"),
        ("date-of-birth", "March 14, 1984", "Her date of birth is {}."),
        ("date-of-birth", "14 mars 1984", "Né le {} à Lyon"),
        ("date-of-birth", "03/14/1984", "Birthday: {}"),
        ("date-of-birth", "1984年3月14日", "生年月日：{}"),
        ("us-passport", "912803456", "Passport No. {}"),
        ("us-passport", "A12803456", "My passport number is {}."),
        ("us-driver-license", "D1234562", "Driver's license: {}"),
        ("us-driver-license", "W123-4567-8901", "driving licence {}"),
        ("eu-vat", "DE136695976", "VAT ID {}"),
        ("eu-vat", "DE 136 695 976", "USt-IdNr. {}"),
        ("eu-vat", "ATU13585627", "VAT: {}"),
        ("eu-vat", "NL4495445B01", "BTW {}"),
        ("au-tfn", "123 456 782", "My TFN is {}"),
        ("au-medicare", "2123 45670 1", "Medicare card {}"),
        ("ca-sin", "130 692 544", "Social insurance number: {}"),
        ("cn-resident-id", "11010519491231002X", "身份证号：{}"),
        ("cn-resident-id", "11010519491231002X", "It is {}"),
        ("jp-my-number", "1234 5678 9018", "マイナンバー：{}"),
        ("kr-rrn", "971013-9019902", "주민등록번호 {}"),
        ("sg-nric", "S1234567D", "NRIC {}"),
        ("sg-nric", "S1234567D", "I am {}"),
    ],
)
def test_each_kind_is_found_where_it_stands(category: str, value: str, text: str):
    assert _found(text.format(value)) == [(category, value)]


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE is the key of every manual",
        "AKIA" + "AAAAAAAAAAAAAAAA",
        "sk-learn-contrib-packages-and-more, task-force-number-12345678901",
        "sk-your-key-goes-right-here-please",
        "A file begins with -----BEGIN PRIVATE " + "KEY----- and ends with another line.",
        "-----BEGIN PUBLIC " + f"KEY-----\n{BODY}\n-----END PUBLIC " + "KEY-----",
        "eyJhbGci is how they begin; eyJhYmMiOjF9.eyJhYmMiOjF9.abc names no algorithm",
        "password: your_password_here, password = $PASSWORD, pwd=/home/nora, api_key=os.environ['KEY_12345678']",
        "The primary key: customer_id_2 and the foreign key: 2024-11-25",
        "The key is under the mat and the token is spent; secret: none",
        "Press any key to continue. Key: value12345",
        "X25519PrivateKey = rust_openssl.hpke.MLKEM768X25519PrivateKey",
        "password [SECRET_1], token: [API_KEY_1], secret=[SECRET_2]",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb and 1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
        "Commit 52908400098527886E0F7030069857D2E4169EE7, contract 0x52908400098527886E0F7030069857D2E4169EE7",
        "aa:bb:cc:dd:ee:ff, 02:00:00:00:00:01, ff:ff:ff:ff:ff:ff, 01:00:5e:00:00:fb",
        "Serial 490154203237518",
        "IMEI 490154203237519",
        "The battle of 14 March 1984, released 2024-03-14, born 4 August 1961 in Honolulu",
        "Date of birth: 31.02.1984, 14.13.2984",
        "Numbers A12803456 and 912803456, D1234562",
        "VAT DE136695977 or ATU13585628",
        "123 456 782, 130 692 544, 2123 45670 1, 1234 5678 9018",
        "TFN 123 456 783, SIN number 130 692 545, Medicare 2123 45671 1, マイナンバー 1234 5678 9019",
        "11010519491231002Y, 110105194912310021, 971013-9019903",
        "S1234567A, T1234567D, A1234567D",
        "Mount it from S3, run EKS 1.29 on c5.4xlarge; ISBN 978-3-16-148410-0; sha256 " + "a1b2c3d4" * 8,
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str):
    assert _found(text) == []


def test_key_whose_end_is_missing_is_found_as_far_as_it_goes():
    text = PEM[: PEM.index("-----END")]
    assert _found(f"Here:\n{text}") == [("private-key", text)]


@pytest.mark.parametrize("number", CHECKED, ids=lambda number: number.entity)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_no_number_is_too_strange_to_be_checked(number: CheckedNumber, data: st.DataObject):
    written = data.draw(
        st.from_regex(number.pattern.pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    )
    assert all(found.entity == number.entity for found in number.recognise(Scan(written)))


@pytest.mark.parametrize(
    "piece", ["eyJ", "eyJ" + "a" * 50 + ".", "-----BEGIN ", "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "a" * 30,
              "key=", "password", "sk-a1", "bc1", "0x", "3c:5a:b4:", "1984-03-14 ", "DOB 1984", "S1234567D ", "DE1 3 "],
)  # fmt: skip
def test_long_hostile_text_is_read_to_its_end(piece: str):
    text = (piece * 50_000)[:49_970] + "; Mail nora@example.com"
    assert DETECTOR.detect(Text(text)).findings[-1].category == "email"
