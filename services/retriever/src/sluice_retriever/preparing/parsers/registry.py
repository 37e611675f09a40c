"""Which parser reads a document: by the kind that is said, else by its first bytes, else by its name."""

from sluice_api.media_types import MediaType, media_type_of
from sluice_retriever.domain import documents
from sluice_retriever.domain.markdown import blocks, plain_blocks
from sluice_retriever.domain.model import Document
from sluice_retriever.preparing.parsers import docx, hypertext, pdf, table
from sluice_retriever.preparing.parsers.compressed import GZIP_MAGIC, ZIP_MAGIC, gunzip
from sluice_retriever.preparing.parsers.encodings import decode
from sluice_retriever.preparing.parsers.parsed import Parsed, Unparsable

#: Raised whenever a parser may give something else for the same file: what is stored is then parsed again.
VERSION = 1


def parse(document: Document) -> Parsed:
    """A document's own title and its blocks.

    Raises:
        Unparsable: it cannot be read, with the reason.
    """
    if not document.content:
        return _parse_text(document.text, document.media_type or MediaType.PLAIN)
    content = gunzip(document.content) if document.content.startswith(GZIP_MAGIC) else document.content
    if not content.strip():
        raise Unparsable("empty")
    kind = document.media_type or _sniffed(content) or media_type_of(document.id)
    match kind:
        case MediaType.PDF:
            return pdf.parse(content)
        case MediaType.DOCX:
            return docx.parse(content)
        case MediaType.HTML:
            return hypertext.parse(content)
        case None:
            raise Unparsable(f"its kind cannot be told; give media_type, one of {', '.join(MediaType)}")
        case _:
            text = decode(content)
            if refusal := documents.text_refusal(text):
                raise Unparsable(refusal)
            return _parse_text(text, kind)


def _parse_text(text: str, kind: str) -> Parsed:
    match kind:
        case MediaType.PLAIN:
            return Parsed("", plain_blocks(text))
        case MediaType.MARKDOWN:
            return Parsed("", blocks(text))
        case MediaType.HTML:
            return hypertext.parse(text)
        case MediaType.CSV:
            return table.parse(text)
        case MediaType.TSV:
            return table.parse(text, "\t")
        case _:
            raise Unparsable(f"{kind} is no text; send the file as content")


def _sniffed(content: bytes) -> MediaType | None:
    """The kind that the first bytes tell, whatever the name says."""
    if content[:1024].lstrip().startswith(b"%PDF-"):
        return MediaType.PDF
    if content.startswith((ZIP_MAGIC, docx.ENCRYPTED_MAGIC)):
        return MediaType.DOCX
    return None
