"""Words near a number that say what kind of number it is."""

import re
from dataclasses import dataclass

from sluice_guardrail.domain.model import Span
from sluice_guardrail.domain.normalising.folding import fold
from sluice_guardrail.domain.pii.recogniser import Scan


@dataclass(frozen=True)
class Words:
    """Words, and how far from a place they count, in characters."""

    pattern: re.Pattern[str]
    before: int
    after: int

    def near(self, scan: Scan, span: Span) -> bool:
        """True where one of the words stands close to the place."""
        if not scan.holds(self.pattern):
            return False
        text = scan.text
        before = text[max(0, span.start - self.before) : span.start]
        after = text[span.end : span.end + self.after]
        return self.pattern.search(fold(f"{before}\n{after}")) is not None


def words(listed: str, *, before: int = 60, after: int = 24) -> Words:
    """Words separated by blanks, `_` for a blank within one, in folded spelling; each takes a plural `s`."""
    any_of = "|".join(re.escape(word).replace("_", "[ -]?") for word in listed.split())
    return Words(re.compile(rf"(?<![a-z_])(?:{any_of})s?(?![a-z_])"), before, after)


#: What is left of a score where a word says that the number is one of something else.
SOMETHING_ELSE_SHARE = 0.5
#: Words that make a number one of something else, right before it.
SOMETHING_ELSE = words(
    """
    order invoice tracking ticket serial part_number sku article commit hash version release build revision isbn issn
    doi arxiv pmid ean gtin upc imei checksum timestamp reference ref uuid model case transaction parcel batch lot
    bestellung bestellnummer rechnung commande facture pedido factura ordine fattura
    """,
    before=32,
    after=0,
)
