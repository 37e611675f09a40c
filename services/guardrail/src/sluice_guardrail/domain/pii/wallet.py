"""Addresses of crypto wallets."""

import re
from collections.abc import Iterator
from typing import ClassVar

from stdnum import bitcoin

from sluice_api.objects.guardrail_policy import PiiEntity
from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.pii.context import words
from sluice_guardrail.domain.pii.recogniser import END, START, Candidate, Scan

_BITCOIN = re.compile(rf"{START}(?:[13][1-9A-HJ-NP-Za-km-z]{{25,34}}|bc1[0-9a-z]{{11,71}}){END}", re.ASCII)
_ETHEREUM = re.compile(rf"{START}0x[0-9A-Fa-f]{{40}}{END}", re.ASCII)
_NAMED = words(
    "wallet eth ethereum ether metamask erc20 crypto usdt usdc token_address pay send donate address"
)
#: The checksum leaves one in four billion to chance.
_CHECKED_SCORE = 0.9
#: Ethereum's checksum lies in upper and lower case, and few write it; contracts have such addresses too.
_FORM_SCORE, _NAMED_SCORE = 0.4, 0.8


class WalletRecogniser:
    """Bitcoin by its checksum, Ethereum by its form and a word nearby."""

    entities: ClassVar[frozenset[PiiEntity]] = frozenset((PiiEntity.CRYPTO_WALLET,))

    def recognise(self, scan: Scan) -> Iterator[Candidate]:
        """Each address."""
        for number in scan.numbers:
            yield from self._at(scan, number)
            if scan.text[number - 2 : number] == "bc":
                yield from self._at(scan, number - 2)

    def _at(self, scan: Scan, start: int) -> Iterator[Candidate]:
        if (match := _BITCOIN.match(scan.text, start)) and bitcoin.is_valid(match[0]):
            yield Candidate(PiiEntity.CRYPTO_WALLET, Span(*match.span()), _CHECKED_SCORE, match[0].lower())
        if match := _ETHEREUM.match(scan.text, start):
            span = Span(*match.span())
            score = _NAMED_SCORE if _NAMED.near(scan, span) else _FORM_SCORE
            yield Candidate(PiiEntity.CRYPTO_WALLET, span, score, match[0].lower())
