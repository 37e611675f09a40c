"""PDF by PDFium: the text of each page, under the page's number."""

import re
from collections.abc import Iterator
from contextlib import closing

import pypdfium2 as pdfium

from sluice_retriever.domain.markdown import Block, Kind
from sluice_retriever.preparing.parsers.parsed import Parsed, Unparsable

#: PDFium marks a hyphen that only parts a word at the line's end.
_SOFT_HYPHEN = re.compile("[\ufffe\u0002]\\s*")
_WORD_BROKEN = re.compile(r"(?<=[a-zß-ÿ])-\s*\r?\n(?=[a-zß-ÿ])")


def parse(content: bytes) -> Parsed:
    """The document's title, and a block for each page that has text.

    Raises:
        Unparsable: it is damaged, encrypted, or a scan without text.
    """
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unparsable("encrypted: remove the password first") from error
        raise Unparsable(f"damaged: {error}") from error
    with document:
        found = list(_pages(document))
        if not found:
            raise Unparsable(f"no text on its {len(document)} pages: a scan? Run it through OCR first")
        return Parsed(_title(document), found)


def _pages(document: pdfium.PdfDocument) -> Iterator[Block]:
    for number in range(len(document)):
        with closing(document[number]) as page, closing(page.get_textpage()) as text_page:
            text = text_page.get_text_bounded()
        if prose := joined(text):
            yield Block(Kind.PROSE, prose, (f"page {number + 1}",))


def joined(text: str) -> str:
    """Lines as one, with the words whole that were broken at a line's end."""
    return " ".join(_WORD_BROKEN.sub("", _SOFT_HYPHEN.sub("", text)).split())


def _title(document: pdfium.PdfDocument) -> str:
    return " ".join(document.get_metadata_value("Title").split())
