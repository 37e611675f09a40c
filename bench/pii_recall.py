"""How much personal data of each kind is found, in sentences of several languages.

    .venv/bin/python bench/pii_recall.py

Values are generated with a fixed seed: by Faker where it makes valid ones, else here by the rule of their check digits.
Each stands in sentences with a word that names it and in sentences without one; the sentences were written for this and
for nothing else. A value counts as found where a finding of its kind covers it at the default threshold. `--missed`
prints what was not.
"""

import argparse
import base64
import hashlib
import json
import random
import string
from collections import defaultdict
from collections.abc import Callable

from faker import Faker
from stdnum import luhn, verhoeff
from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.eu import vat
from stdnum.gb import nhs
from stdnum.jp import in_
from stdnum.kr import rrn

from sluice_api.objects.guardrail_policy import PiiDetector as PiiSpec
from sluice_guardrail.domain.detectors.pii import PiiDetector
from sluice_guardrail.domain.texts import Text

SEED = 20_261_125
#: Values of each kind.
VALUES = 100
BARE = (
    "I will be there on Monday; {} is what they gave me.",
    "Bitte prüfen Sie {} noch einmal.",
    "Merci de noter {} dans le dossier.",
    "Por favor, anota {} en la ficha.",
    "Segnalo anche {} per conoscenza.",
    "Veja também {} na lista.",
    "Zie ook {} in het dossier.",
    "Proszę zapisać {} w aktach.",
    "请把{}记下来。",
    '{{"value": "{}"}}',
)
Make = Callable[[random.Random], str]


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _until(make: Make, valid: Callable[[str], bool]) -> Make:
    def made(rng: random.Random) -> str:
        while True:
            value = make(rng)
            if valid(value):
                return value

    return made


def _random(rng: random.Random, count: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(letters, k=count))


def _token(rng: random.Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": _digits(rng, 8)})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join((*encoded, _random(rng, 43)))


def _pem(rng: random.Random) -> str:
    body = "\n".join(_random(rng, 64) for _ in range(12))
    return "-----BEGIN {0}-----\n{1}\n-----END {0}-----".format("PRIVATE " + "KEY", body)


def _nric(rng: random.Random) -> str:
    number = _digits(rng, 7)
    total = sum(weight * int(digit) for weight, digit in zip((2, 7, 6, 5, 4, 3, 2), number, strict=True))
    return f"S{number}{'JZIHGFEDCBA'[total % 11]}"


def _medicare(rng: random.Random) -> str:
    number = rng.choice("23456") + _digits(rng, 7)
    check = sum(weight * int(digit) for weight, digit in zip((1, 3, 7, 9) * 2, number, strict=True)) % 10
    return f"{number[:4]} {number[4:]}{check} {rng.randint(1, 9)}"


def _grouped(value: str, *sizes: int, sign: str = " ") -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(value[at : at + size])
        at += size
    return sign.join(parts)


def _kinds(fakers: dict[str, Faker]) -> dict[str, tuple[Make, tuple[str, ...]]]:
    """For each kind what makes a value, and sentences that name it."""
    fake = fakers["en_US"]

    def phone(rng: random.Random) -> str:
        return rng.choice(
            (
                f"+1 {rng.randint(212, 219)} 555 01{_digits(rng, 2)}",
                f"+49 30 {rng.randint(10_000_000, 99_999_999)}",
                f"+44 20 7946 0{_digits(rng, 3)}",
                f"+33 6 {rng.randint(10, 35)} {_digits(rng, 2)} {_digits(rng, 2)} {_digits(rng, 2)}",
                f"+34 6{_digits(rng, 2)} {_digits(rng, 3)} {_digits(rng, 3)}",
                f"+39 3{rng.randint(20, 49)} {_digits(rng, 7)}",
            )
        )

    def aadhaar(rng: random.Random) -> str:
        number = str(rng.randint(2, 9)) + _digits(rng, 10)
        return _grouped(number + verhoeff.calc_check_digit(number), 4, 4, 4)

    def imei(rng: random.Random) -> str:
        number = "35" + _digits(rng, 12)
        return number + luhn.calc_check_digit(number)

    def my_number(rng: random.Random) -> str:
        number = _digits(rng, 11)
        return number + in_.calc_check_digit(number)

    def resident(rng: random.Random) -> str:
        born = f"{rng.randint(1960, 2004)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        number = rng.choice(("110105", "310115", "440305", "510104")) + born + _digits(rng, 3)
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        total = sum(weight * int(digit) for weight, digit in zip(weights, number, strict=True))
        return number + "10X98765432"[total % 11]

    def registration(rng: random.Random) -> str:
        number = f"{rng.randint(60, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}" + rng.choice("12")
        number += f"{rng.randint(0, 90):02}{_digits(rng, 3)}"
        return _grouped(number + rrn.calc_check_digit(number), 6, 7, sign="-")

    def tax_file(rng: random.Random) -> str:
        weights = (1, 4, 3, 7, 5, 8, 6, 9, 10)
        valid = _until(
            lambda r: _digits(r, 9),
            lambda n: n[0] != "0" and sum(w * int(d) for w, d in zip(weights, n, strict=True)) % 11 == 0,
        )
        return _grouped(valid(rng), 3, 3, 3)

    def social_insurance(rng: random.Random) -> str:
        number = rng.choice("1234567") + _digits(rng, 7)
        return _grouped(number + luhn.calc_check_digit(number), 3, 3, 3)

    def mac(rng: random.Random) -> str:
        return ":".join(("3c", "5a", "b4", *(f"{rng.randrange(256):02x}" for _ in range(3))))

    return {
        "email": (lambda rng: fake.email(), ("My e-mail is {}.", "E-Mail: {}", "Courriel : {}", "邮箱：{}")),
        "phone": (phone, ("Phone: {}", "Meine Telefonnummer ist {}.", "Mi teléfono es {}.", "电话：{}")),
        "credit-card": (
            lambda rng: fake.credit_card_number(rng.choice(("visa16", "mastercard", "amex"))),
            ("My card is {}.", "Kreditkarte: {}", "Carte bancaire : {}", "信用卡{}"),
        ),
        "iban": (
            lambda rng: fakers[rng.choice(("de_DE", "en_GB", "fr_FR", "nl_NL", "es_ES", "it_IT"))].iban(),
            ("IBAN {}", "Mein Konto: {}", "Compte : {}", "Cuenta: {}"),
        ),
        "ip-address": (
            lambda rng: fake.ipv4_public(),
            ("The client address is {}.", "IP: {}", "Adresse IP {}"),
        ),
        "us-ssn": (lambda rng: fake.ssn(), ("SSN {}", "My social security number is {}.")),
        "us-passport": (lambda rng: "A" + _digits(rng, 8), ("Passport number {}", "My passport is {}.")),
        "us-driver-license": (
            lambda rng: rng.choice("BCDFW") + _digits(rng, 7),
            ("Driver's license: {}", "Driver license number {}"),
        ),
        "br-cpf": (lambda rng: cpf.format(_cpf(rng)), ("CPF {}", "Meu cadastro: {}")),
        "de-idnr": (_idnr, ("Steuer-ID {}", "Meine Steueridentifikationsnummer: {}")),
        "es-nif": (lambda rng: fakers["es_ES"].nif(), ("DNI {}", "Mi NIF es {}.")),
        "fr-nir": (lambda rng: fakers["fr_FR"].ssn(), ("NIR {}", "Sécurité sociale : {}")),
        "gb-nhs": (
            _until(lambda rng: _grouped(_digits(rng, 10), 3, 3, 4), nhs.is_valid),
            ("NHS number {}", "My NHS no: {}"),
        ),
        "in-aadhaar": (aadhaar, ("Aadhaar {}", "My Aadhaar number: {}")),
        "it-codice-fiscale": (lambda rng: fakers["it_IT"].ssn(), ("Codice fiscale {}", "Il mio C.F.: {}")),
        "nl-bsn": (lambda rng: fakers["nl_NL"].ssn(), ("BSN {}", "Burgerservicenummer: {}")),
        "pl-pesel": (lambda rng: fakers["pl_PL"].pesel(), ("PESEL {}", "Mój PESEL to {}.")),
        "au-tfn": (tax_file, ("TFN {}", "My tax file number is {}.")),
        "au-medicare": (_medicare, ("Medicare {}", "My Medicare card number is {}.")),
        "ca-sin": (social_insurance, ("Social insurance number {}", "My SIN number: {}")),
        "cn-resident-id": (resident, ("身份证号：{}", "ID card {}")),
        "jp-my-number": (my_number, ("マイナンバーは{}です。", "My Number: {}")),
        "kr-rrn": (registration, ("주민등록번호 {}", "Resident registration number {}")),
        "sg-nric": (_nric, ("NRIC {}", "My identity card: {}")),
        "eu-vat": (
            _until(
                lambda rng: fakers[rng.choice(("de_DE", "nl_NL", "it_IT", "pl_PL"))].vat_id(), vat.is_valid
            ),
            ("VAT ID {}", "USt-IdNr. {}", "Partita IVA {}"),
        ),
        "date-of-birth": (
            lambda rng: fake.date_of_birth(minimum_age=18).strftime(
                rng.choice(("%Y-%m-%d", "%d.%m.%Y", "%B %d, %Y"))
            ),
            ("Date of birth: {}", "Geburtsdatum {}", "Né le {}", "Data di nascita {}", "生年月日：{}"),
        ),
        "mac-address": (mac, ("MAC address {}", "Bluetooth {}")),
        "imei": (imei, ("IMEI {}", "IMEI: {}")),
        "crypto-wallet": (_wallet, ("My wallet is {}.", "Wallet: {}")),
        "api-key": (
            lambda rng: rng.choice(
                ("ghp_" + _random(rng, 36), "AKIA" + _random(rng, 16, "ABCDEFGHJKMN234567"))
            ),
            ("The key is {}.", "Schlüssel: {}"),
        ),
        "private-key": (_pem, ("My key:\n{}\n", "Schlüssel:\n{}\n")),
        "json-web-token": (_token, ("Authorization: Bearer {}", "The token is {}.")),
        "secret": (lambda rng: _random(rng, 20), ("password: {}", "Das Passwort ist {}", "api_key={}")),
    }


def _idnr(rng: random.Random) -> str:
    return idnr.format(_until(_tax_digits, idnr.is_valid)(rng))


def _tax_digits(rng: random.Random) -> str:
    """Of the first ten digits one comes twice and one is missing."""
    digits = rng.sample(string.digits, 9)
    digits.insert(rng.randrange(10), rng.choice(digits))
    return "".join(digits) + rng.choice(string.digits)


def _cpf(rng: random.Random) -> str:
    number = _digits(rng, 9)
    return _until(lambda r: number + _digits(r, 2), cpf.is_valid)(rng)


def _wallet(rng: random.Random) -> str:
    """A Bitcoin address of the first kind, with its checksum."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    payload = b"\0" + rng.randbytes(20)
    content = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    value, text = int.from_bytes(content, "big"), ""
    while value:
        value, digit = divmod(value, 58)
        text = alphabet[digit] + text
    return "1" * (len(content) - len(content.lstrip(b"\0"))) + text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--missed", action="store_true", help="print the sentences whose value was not found")
    arguments = parser.parse_args()
    locales = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL")
    fakers = {locale: Faker(locale) for locale in locales}
    Faker.seed(SEED)
    rng = random.Random(SEED)
    detector = PiiDetector(PiiSpec())
    print(f"{'kind':20} {'named':>7} {'alone':>7}")
    found: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for kind, (make, named) in _kinds(fakers).items():
        for index in range(VALUES):
            value = make(rng)
            for is_named, sentences in ((True, named), (False, BARE)):
                text = sentences[index % len(sentences)].format(value)
                hit = _hit(detector, text, kind, value)
                found[kind, is_named].append(hit)
                if arguments.missed and not hit:
                    print(f"    {kind}: {text[:120]!r}")
        shares = (sum(found[kind, each]) / len(found[kind, each]) for each in (True, False))
        print(f"{kind:20}", *(f"{share:7.0%}" for share in shares))


def _hit(detector: PiiDetector, text: str, kind: str, value: str) -> bool:
    start = text.index(value)
    return any(
        finding.category == kind
        and finding.score >= PiiSpec().threshold
        and finding.span.start <= start
        and finding.span.end >= start + len(value)
        for finding in detector.detect(Text(text)).findings
    )


if __name__ == "__main__":
    main()
