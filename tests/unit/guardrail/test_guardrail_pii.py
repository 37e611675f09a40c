"""Personal data: each kind is found where it is valid, and what only looks like it is left alone."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice_api.objects.guardrail_policy import Action, GuardrailPolicySpec, PiiEntity
from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.model import Channel, Decision, Finding, Reason, ScanState, Segment, Verdict
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.texts import Text

RULES = all_rules()
DETECTOR = PiiDetector(PiiSpec())
THRESHOLD = PiiSpec().threshold


def _found(text: str, **spec: object) -> list[tuple[str, str]]:
    """Category and text of what counts."""
    findings = PiiDetector(PiiSpec(**spec)).detect(Text(text)).findings
    return [
        (finding.category, text[finding.span.start : finding.span.end])
        for finding in findings
        if finding.score >= THRESHOLD
    ]


def _screen(text: str, channel: Channel = Channel.USER, **pii: object) -> Verdict:
    spec = GuardrailPolicySpec.model_validate({"input": {"pii": pii}})
    return Screener(Policy("p", "v", spec), Parts(RULES)).screen_input([Segment(channel, "user", text)])


@pytest.mark.parametrize(
    ("category", "value", "text"),
    [
        ("email", "nora.quill@example.com", "Write to {}, please."),
        ("email", "n.quill+list@mail.example.co.uk", "<{}>"),
        ("email", "nora@example.com", "mailto:{}?subject=x"),
        ("email", "müller@example.de", "An {}."),
        ("email", "nora@example.com", "请联系{}是她的地址请发邮件给她请发邮件给她请发邮件给她"),
        ("phone", "+49 30 12345678", "It is {}."),
        ("phone", "+14155550132", "tel:{}"),
        ("phone", "+44 (0)20 7946 0018", "From abroad: {} (office)"),
        ("phone", "(415) 555-0132", "Ask {} for it"),
        ("phone", "415-555-0132", "Ask {} for it"),
        ("phone", "415-555-0132", "Ask {}x410 for it"),
        ("phone", "+1\u2011415\u2011555\u20110132", "It is {}."),
        ("phone", "020 7946 0018", "My phone number is {}"),
        ("phone", "030 12345678", "Telefon: {}"),
        ("phone", "030 12345678", "Tel.{}"),
        ("phone", "06 12 34 56 78", "Téléphone : {} 2026"),
        ("credit-card", "4111 1111 1111 1111", "Charge {} 12/27"),
        ("credit-card", "4111-1111-1111-1111", "{}"),
        ("credit-card", "4111–1111–1111–1111", "{}"),
        ("credit-card", "4111.1111.1111.1111", "{}."),
        ("credit-card", "5555555555554444", "({})"),
        ("credit-card", "3782 822463 10005", "Pay with {}."),
        ("credit-card", "2223003122003222", "It is {}."),
        ("credit-card", "4111 1111\n1111 1111", "Wrapped: {}"),
        ("credit-card", "6011111111111117", "卡号{}"),
        ("iban", "DE89 3704 0044 0532 0130 00", "To {} please wire"),
        ("iban", "GB82WEST12345698765432", "{}"),
        ("iban", "BE68 5390 0754 7034", "Use {} with this text"),
        ("iban", "nl91 abna 0417 1643 00", "Use {}, thanks"),
        ("ip-address", "93.184.216.34", "It came from {}:8080"),
        ("ip-address", "81.2.69.142", "Blocked {} today."),
        ("ip-address", "2a00:1450:4001:82a::200e", "Seen: {}."),
        ("us-ssn", "536-90-4399", "It is {}"),
        ("us-ssn", "536904399", "SSN: {}"),
        ("br-cpf", "390.533.447-05", "{}"),
        ("br-cpf", "39053344705", "CPF {}"),
        ("de-idnr", "36 574 261 809", "Steuer-ID {}"),
        ("es-nif", "12345678Z", "Soy {}"),
        ("es-nif", "X2482300W", "NIE {}"),
        ("fr-nir", "2 95 10 99 126 111 93", "{}"),
        ("fr-nir", "295109912611193", "{}"),
        ("gb-nhs", "943 476 5919", "NHS number {}"),
        ("in-aadhaar", "2341 2341 2346", "Aadhaar: {}"),
        ("it-codice-fiscale", "RSSMRA85T10A562S", "Sono {}"),
        ("nl-bsn", "111222333", "BSN {}"),
        ("pl-pesel", "44051401359", "PESEL {}"),
    ],
)
def test_each_kind_is_found_where_it_stands(category: str, value: str, text: str):
    assert _found(text.format(value)) == [(category, value)]


@pytest.mark.parametrize(
    "text",
    [
        "Charge 4111 1111 1111 1112",
        "Card 5555555555554445",
        "Card 1111 1111 1111 1117",  # Luhn, but no issuer's prefix
        "To DE88 3704 0044 0532 0130 00",
        "Account GB83WEST12345698765432",
        "Account DE86 3704 0044 0532 0130",  # the remainder is right, the length is not Germany's
        "SSN 666-90-4399",
        "SSN 536-00-4399",
        "SSN 912-90-4399",
        "CPF 390.533.447-06",
        "Steuer-ID 36 574 261 808",
        "DNI 12345678A",
        "NIE X2482300A",
        "NIR 2 95 10 99 126 111 94",
        "NIR 2 95 13 99 126 111 44",  # the key is right, the month is not
        "NHS number 943 476 5918",
        "Aadhaar 2341 2341 2347",
        "Codice fiscale RSSMRA85T10A562T",
        "BSN 111222334",
        "PESEL 44051401358",
        "Phone +49 30",
        "Phone +999 123 456 789",
        "Ask (115) 555-0132 for it",
        "Write to nora@example",
        "Write to @example.com",
    ],
)
def test_near_misses_are_left_alone(text: str):
    assert _found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Objects are kept in S3 and C4 is a data set; EKS 1.29 runs it.",
        "Released 2026-11-25 at 12:30:45, 2026-11-25T12:30:45.123456+00:00, build 20261125123045.",
        "Upgrade from version 1.2.3.4 to 10.0.19041.1202, driver 31.0.15.3623.",
        "Section 4.3.2.1 of the manual, OID 1.3.6.1.4.1",
        "Order 4111111111111111 has shipped; invoice number 5555555555554444.",
        "Id 550e8400-e29b-41d4-a716-446655440000, 00000000-4111-1111-1111-111111111111",
        "Commit 4a451a475b8d3131e0f9d41111111111111111ee, digest 4111111111111111beef",
        "See arXiv:2403.12345v2, doi 10.1145/4111111111111111, PMID 12345678, ISBN 978-3-16-148410-0.",
        "The ratio is 0.4111111111111111 and the path /files/4111111111111111.pdf",
        "Ports 10.0.0.1, 127.0.0.1, 192.168.1.20, 172.16.0.9, 169.254.169.254, 192.0.2.7, 203.0.113.9, ::1",
        "The network 93.184.216.0/24; resolvers 8.8.8.8 and 1.1.1.1; fe80::1 and 2001:db8::1",
        "std::beef 12:30:45 aa:bb:cc:dd:ee:ff",
        "git clone git@github.com:quill/press.git, images/logo@2x.png, bundle@next.js, lodash@4.17.21",
        "postgres://user:secret@db.example.com/press, @pytest.fixture, a @ b, support@example.com",
        "Population 1 234 567 890 in 2020-2025, 3.14159265358979, 1,000,000,000, 10^15",
        "Epoch 1700000000, 1700000000000, 1700000000000000",
        "123456789 1234567890 12345678901 123456789012",
        "The check digit of 111222333 and 44051401359 says nothing alone.",
        "Vectors [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]",
        "2 + 2 = 4, x = -1234567890, +1 for that, +100 points, 30-40 %, 1:100000000",
        "T cells into target tissues, 2462673; stem cells 22080671; a handy list of 15551234567",
        "Patient 9434765919 of the study, tin 36574261809, uid 234123412346, taxpayer 536904399",
        "Trial NCT01234567, catalogue ABC-123-4567, flight LH454, A4 paper, H2O",
        "",
        "@" * 100,
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str):
    assert _found(text) == []


@pytest.mark.parametrize(
    ("text", "category", "view"),
    [
        ("Charge ４１１１ １１１１ １１１１ １１１１ now", "credit-card", "folded"),
        ("Charge 4111\u200b1111\u200b1111\u200b1111 now", "credit-card", "folded"),
        ("Charge 4111\u00a01111\u00a01111\u00a01111 now", "credit-card", "folded"),
        ("Write to nora\u00ad.quill@example.com", "email", "folded"),
        ("Write to nora.quill＠example.com", "email", "folded"),
        ("x\u200b4111111111111111", "credit-card", "raw"),  # in the folded view it is glued to a letter
        ("Charge 4111 1111 1111 1111\n\n\u200bnow", "credit-card", "raw"),
    ],
)
def test_disguise_hides_nothing(text: str, category: str, view: str):
    (finding,) = DETECTOR.detect(Text(text)).findings
    assert (finding.category, finding.view) == (category, view)
    shown = text[finding.span.start : finding.span.end]
    assert shown[0] in "4４n"
    assert shown[-1] in "1１m"


@pytest.mark.parametrize(
    ("encode", "view"),
    [
        (lambda text: base64.b64encode(text.encode()).decode(), "base64"),
        (lambda text: text.encode().hex(), "hex"),
        (lambda text: text.replace("@", "%40"), "percent"),
        (lambda text: text.replace("@", "&#64;"), "entities"),
    ],
)
def test_encoding_hides_nothing_and_counts_less(encode: Callable[[str], str], view: str):
    encoded = encode("nora.quill@example.com")
    text = f"The record ({encoded}) is there."
    (finding,) = DETECTOR.detect(Text(text)).findings
    assert (finding.category, finding.view) == ("email", view)
    assert text[finding.span.start : finding.span.end] == encoded
    assert THRESHOLD <= finding.score < 0.9


def test_word_nearby_raises_the_score_and_another_lowers_it():
    def score(text: str) -> float:
        return DETECTOR.detect(Text(text)).findings[0].score

    bare = score("It says 4111111111111111.")
    assert score("Order 4111111111111111.") < THRESHOLD <= bare < score("My card is 4111111111111111.")
    assert score("It says 111222333.") < THRESHOLD <= score("BSN 111222333")


def test_bare_digits_score_low_and_are_reported():
    (finding,) = DETECTOR.detect(Text("It says 111222333.")).findings
    assert 0 < finding.score < THRESHOLD


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("My card is 3782 822463 10005, call me", "credit-card"),
        ("SSN 536-90-4399, phone: to follow", "us-ssn"),
        ("CPF 39053344705 (not a PESEL, nor a phone)", "br-cpf"),
    ],
)
def test_one_finding_where_several_kinds_match(text: str, category: str):
    assert [found for found, _ in _found(text)] == [category]


def test_entities_are_what_is_looked_for():
    text = "nora@example.com, 4111 1111 1111 1111"
    assert [category for category, _ in _found(text, entities=(PiiEntity.EMAIL,))] == ["email"]
    assert [category for category, _ in _found(text, entities=(PiiEntity.CREDIT_CARD,))] == ["credit-card"]


@pytest.mark.parametrize(
    ("allow", "text"),
    [
        ("nora@example.com", "Write to Nora@Example.com"),
        ("example.com", "Write to nora@example.com"),
        ("@example.com", "Write to nora@mail.example.com"),
        ("+44 20 7946 0018", "Phone 020 7946 0018 or +442079460018"),
        ("4111-1111-1111-1111", "Charge 4111 1111 1111 1111"),
        ("93.184.216.34", "From 93.184.216.34"),
        ("DE89 3704 0044 0532 0130 00", "To de89370400440532013000"),
    ],
)
def test_allowed_values_and_domains_are_not_personal(allow: str, text: str):
    assert _found(text)
    assert PiiDetector(PiiSpec(allow=(allow,))).detect(Text(text)).findings == ()


def test_allowed_domain_is_no_other_domain_that_ends_alike():
    assert _found("nora@badexample.com", allow=("example.com",)) == [("email", "nora@badexample.com")]


def test_all_places_are_found_and_a_part_of_them_is_reported():
    text = " ".join(f"person{index}@example.com" for index in range(1000))
    assert len(DETECTOR.detect(Text(text)).findings) == 1000
    assert len(_screen(text).findings) == 32


def test_text_with_more_numbers_than_are_looked_up_is_reported_as_partly_scanned():
    def report(count: int):
        verdict = _screen("phone 123 4567 " * count)
        return next(each for each in verdict.reports if each.detector == "pii")

    assert report(10).state is ScanState.SCANNED
    assert report(1000).state is ScanState.PARTIAL
    assert "phone numbers" in report(1000).detail


def test_default_policy_flags_and_says_why_without_the_value():
    verdict = _screen("My card is 4111 1111 1111 1111.")
    assert (verdict.decision, verdict.reason) == (Decision.FLAG, Reason.PII)
    assert "personal data" in verdict.message
    assert "4111" not in repr(verdict)


def test_policy_may_block_or_not_look():
    text = "My card is 4111 1111 1111 1111."
    blocked = _screen(text, action=Action.BLOCK)
    assert (blocked.decision, blocked.reason) == (Decision.BLOCK, Reason.PII)
    assert "without it" in blocked.message
    assert _screen(text, action=Action.ALLOW).findings == ()
    assert _screen(text, action=Action.BLOCK, threshold=0.99).decision is Decision.ALLOW


def test_tool_results_are_looked_through_too():
    verdict = _screen('{"customer": "nora@example.com"}', Channel.TOOL, action=Action.BLOCK)
    assert (verdict.decision, verdict.reason) == (Decision.BLOCK, Reason.PII)


_PIECES = st.sampled_from(
    [
        "nora@example.com",
        "4111 1111 1111 1111",
        "４１１１１１１１１１１１１１１１",
        "DE89 3704 0044 0532 0130 00",
        "+49 30 12345678",
        "536-90-4399",
        "295109912611193",
        "93.184.216.34",
        "BSN 111222333",
        "RSSMRA85T10A562S",
        "phone ",
        "\u200b",
        "\n\n",
        "ß",
        "ﬃ",
    ]
)


@given(st.lists(_PIECES | st.text(max_size=6), max_size=12).map("".join))
@example("\u200b4111\u200b1111 1111 1111\u200b")
def test_spans_are_within_the_text_and_findings_neither_overlap_nor_hold_it(text: str):
    findings = DETECTOR.detect(Text(text)).findings
    end = 0
    for finding in findings:
        assert end <= finding.span.start < finding.span.end <= len(text)
        end = finding.span.end
        assert 0 < finding.score <= 1
        assert set(finding.category) <= set("abcdefghijklmnopqrstuvwxyz-")
        assert finding.view in ("raw", "folded")
    fields = {name for name in Finding.__dataclass_fields__}
    assert fields == {"category", "score", "span", "view", "replacement", "segment"}


@given(st.text(alphabet="0123456789 +-.()@:/abxyzé\u200b４\n", max_size=300))
def test_no_text_is_too_much(text: str):
    for finding in DETECTOR.detect(Text(text)).findings:
        assert text[finding.span.start : finding.span.end]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "1-",
        "@",
        "a",
        "a@",
        "a.",
        "a@a.",
        "4111 ",
        "+1 1 1 1 1 1 1 1 1 ",
        "tel 00 00 00 00 00 00 00 00 ",
        "phone 1234567 ",
        "DE89 3704 ",
        "2a00:",
        "1.1.1.1.",
        "93.184.216.34 ",
        "\u200b4",
        "111222333 ",
    ],
)
def test_long_hostile_text_is_read_to_its_end(piece: str):
    text = (piece * 200_000)[:199_970] + " Mail nora@example.com"
    findings = DETECTOR.detect(Text(text)).findings
    assert len([finding for finding in findings if finding.score < THRESHOLD]) <= 32
    assert any(finding.category == "email" for finding in findings) or len(findings) == 32
