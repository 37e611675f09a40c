"""DOCX: Mammoth turns its styles into plain HTML, which is read like any other HTML."""

import io
import xml.etree.ElementTree as ElementTree
import zipfile
from xml.parsers.expat import ExpatError

import mammoth

from sluice_retriever.preparing.parsers import hypertext
from sluice_retriever.preparing.parsers.compressed import open_zip
from sluice_retriever.preparing.parsers.parsed import Parsed, Unparsable

#: An encrypted document is no zip file but Microsoft's older container.
ENCRYPTED_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
BODY = "word/document.xml"
_CORE = "docProps/core.xml"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"

_NO_IMAGE = mammoth.images.img_element(lambda _: {})


def parse(content: bytes) -> Parsed:
    """The document's title and blocks.

    Raises:
        Unparsable: it is damaged, encrypted, or unpacks to too much.
    """
    if content.startswith(ENCRYPTED_MAGIC):
        raise Unparsable("encrypted, or in Word's format before 2007: save it as .docx without a password")
    with open_zip(content) as archive:
        if BODY not in archive.namelist():
            raise Unparsable("damaged: the archive holds no Word document")
        try:
            title = _title(archive)
            page = mammoth.convert_to_html(io.BytesIO(content), convert_image=_NO_IMAGE).value
        except (zipfile.BadZipFile, ExpatError, ElementTree.ParseError, KeyError, ValueError) as error:
            raise Unparsable(f"damaged: {error}") from error
    parsed = hypertext.parse(page)
    return Parsed(title, parsed.blocks)


def _title(archive: zipfile.ZipFile) -> str:
    if _CORE not in archive.namelist():
        return ""
    found = ElementTree.fromstring(archive.read(_CORE)).findtext(_TITLE)  # noqa: S314 - expat bounds entities; memory and time are bounded here
    return " ".join((found or "").split())
