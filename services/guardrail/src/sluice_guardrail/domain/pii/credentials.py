"""What opens something: keys of services, private keys, tokens, passwords."""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.recogniser import Candidate, Scan

_BEFORE = r"(?<![0-9A-Za-z_-])"
_AFTER = r"(?![0-9A-Za-z_-])"
#: What such a key begins with, and the rest. Source: the services' own documentation and secret scanning pages.
_KEYS = {
    prefix: re.compile(f"{_BEFORE}{re.escape(prefix)}(?:{rest}){_AFTER}", re.ASCII)
    for prefixes, rest in (
        ("AKIA ASIA", r"[A-Z2-7]{16}"),
        ("ghp_ gho_ ghu_ ghs_ ghr_", r"[0-9A-Za-z]{36}"),
        ("github_pat_", r"[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"),
        ("glpat-", r"[0-9A-Za-z_-]{20,40}"),
        ("xoxa- xoxb- xoxp- xoxr- xoxs-", r"[0-9A-Za-z-]{10,250}"),
        ("AIza", r"[0-9A-Za-z_-]{35}"),
        ("sk_live_ sk_test_ rk_live_ rk_test_", r"[0-9A-Za-z]{16,250}"),
        ("sk-", r"(?:proj-|ant-|svcacct-|or-)?[0-9A-Za-z_-]{20,250}"),
        ("npm_", r"[0-9A-Za-z]{36}"),
        ("hf_", r"[0-9A-Za-z]{34}"),
        ("SG.", r"[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
        ("dop_v1_", r"[0-9a-f]{64}"),
        ("shpat_", r"[0-9a-f]{32}"),
        ("pypi-AgEI", r"[0-9A-Za-z_-]{50,250}"),
        ("ya29.", r"[0-9A-Za-z_-]{30,250}"),
    )
    for prefix in prefixes.split()
}
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?=(?:\s|\\[nr])+(?:[A-Za-z0-9+/=]{24}|[A-Z][A-Za-z-]+: ))"
    r"(?:[A-Za-z0-9+/=\s\\,:]|-(?!-)){0,8192}"
)
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_TOKEN = re.compile(
    r"(?<![0-9A-Za-z_.-])(?P<header>eyJ[0-9A-Za-z_-]{8,512})\.eyJ[0-9A-Za-z_-]{2,4096}(?:\.[0-9A-Za-z_-]{0,1024})?"
)
_CALLED = re.compile(
    r"(?P<password>passw(?:or[dt]|d)|pwd|passphrase|contrasena|contraseña|mot de passe|wachtwoord|haslo|hasło|senha"
    r"|密码|パスワード)"
    r"|key|token|secret|credential"
)
_VALUE = re.compile(
    r"[0-9A-Za-z_-]{0,16}[\"'`\]]{0,2}\s{0,2}(?:(?:lautet|is|ist|es|est|è|é|to)[:：]?|[:=：]{1,2}|=>)(?:\s{1,3}|(?<=[:=>：]))[\"'`]?"
    r"(?P<value>[^\s\"'`<>,;()\[\]{}]{6,200})"
)
#: A name in code or a place rather than a value.
_NO_VALUE = re.compile(
    r"[$%*./~]|https?:|[A-Za-z_]+(?:[.-][A-Za-z_]+)*\Z|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z|\[?[A-Za-z_]+_[0-9]{1,4}\]?\Z|.*(?:EXAMPLE|://)"
)
_KEY_SCORE, _PEM_SCORE, _TOKEN_SCORE, _PASSWORD_SCORE, _CALLED_SCORE = 0.9, 0.98, 0.9, 0.7, 0.6
#: Of a key that is only called one: characters, and bits of entropy in each.
_LONG, _RANDOM = 16, 3.2


class ApiKeyRecogniser:
    """Goes from one known beginning to the next."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.API_KEY,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each key; what a manual gives as an example is none."""
        for prefix, pattern in _KEYS.items():
            at = scan.text.find(prefix)
            while at >= 0:
                match = pattern.match(scan.text, at)
                rest = match[0][len(prefix) :] if match else ""
                if match and _is_key(prefix, rest):
                    yield Candidate(PiiEntity.API_KEY, Span(*match.span()), _KEY_SCORE, match[0].lower())
                at = scan.text.find(prefix, at + 1)


class PrivateKeyRecogniser:
    """From the armour's first line to its last; without that, as far as it goes."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.PRIVATE_KEY,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each key."""
        at = scan.text.find("-----BEGIN ")
        while at >= 0:
            end = at + 1
            if match := _PEM.match(scan.text, at):
                closing = _PEM_END.match(scan.text, match.end())
                end = closing.end() if closing else match.end()
                yield Candidate(PiiEntity.PRIVATE_KEY, Span(at, end), _PEM_SCORE, scan.text[at:end].lower())
            at = scan.text.find("-----BEGIN ", end)


class TokenRecogniser:
    """JSON Web Tokens, RFC 7519: the header names an algorithm."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.JSON_WEB_TOKEN,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each token."""
        at = scan.text.find("eyJ")
        while at >= 0:
            match = _TOKEN.match(scan.text, at)
            if match and _names_algorithm(match["header"]):
                yield Candidate(PiiEntity.JSON_WEB_TOKEN, Span(*match.span()), _TOKEN_SCORE, match[0].lower())
            at = scan.text.find("eyJ", match.end() if match else at + 3)


class SecretRecogniser:
    """What follows a word such as "password" or "token", where it has the look of one."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.SECRET,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each value, without the word."""
        lower = scan.text.lower()
        if len(lower) != len(scan.text):  # some letters have a longer small form; places would not agree
            lower = scan.text
        for called in _CALLED.finditer(lower):
            match = _VALUE.match(scan.text, called.end())
            value = match["value"].rstrip(".!?") if match else ""
            is_password = called["password"] is not None
            if match and not _NO_VALUE.match(value) and (_is_password if is_password else _is_random)(value):
                span = Span(match.start("value"), match.start("value") + len(value))
                score = _PASSWORD_SCORE if is_password else _CALLED_SCORE
                yield Candidate(PiiEntity.SECRET, span, score, value.lower())


def _is_key(prefix: str, rest: str) -> bool:
    """No sample of a manual; after a beginning that other things share, no words either."""
    return "EXAMPLE" not in rest and len(set(rest)) >= 6 and (prefix != "sk-" or _is_mixed(rest))


def _is_password(value: str) -> bool:
    return len(value) >= 6 and _is_mixed(value) and len(set(value)) >= 5


def _is_random(value: str) -> bool:
    counts = Counter(value).values()
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
    return len(value) >= _LONG and _is_mixed(value) and entropy >= _RANDOM


def _is_mixed(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _names_algorithm(header: str) -> bool:
    try:
        read = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(read, dict) and "alg" in read
