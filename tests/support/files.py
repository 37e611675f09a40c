"""Files of every kind that can be ingested, made on the spot: good ones, and ones with each fault."""

import gzip
import io
import os
import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docx
from fpdf import FPDF

#: Tells the files of the suite apart; never in two files.
Word = str


def text(word: Word) -> bytes:
    return f"The {word} valve opens at nine.\n\nIt closes at noon.\n".encode()


def markdown(word: Word) -> bytes:
    return f"# Valves\n\n## Hours\n\nThe {word} valve opens at nine.\n".encode()


def html(word: Word) -> bytes:
    return (
        "<html><head><title>Valves</title><script>var secret = 1;</script></head><body><nav>Home Next</nav>"
        f"<main><h1>Hours</h1><p>The {word} valve <b>opens</b> at nine.</p>"
        "<table><tr><th>valve</th><th>hour</th></tr><tr><td>north</td><td>ten</td></tr></table></main></body></html>"
    ).encode()


def pdf(word: Word, password: str = "", pages: int = 1) -> bytes:
    document = FPDF()
    document.set_title("Valves")
    document.set_font("Helvetica", size=12)
    if password:
        document.set_encryption(owner_password=f"{password}-owner", user_password=password)
    for page in range(pages):
        document.add_page()
        document.multi_cell(0, 10, f"The {word} valve opens at nine.\nThis is sheet {page + 1}.")
    return bytes(document.output())


def scan() -> bytes:
    """A PDF with lines and no letter."""
    document = FPDF()
    document.add_page()
    document.line(10, 10, 100, 100)
    return bytes(document.output())


def word_document(word: Word) -> bytes:
    document = docx.Document()
    document.core_properties.title = "Valves"
    document.add_heading("Hours", level=1)
    document.add_paragraph(f"The {word} valve opens at nine.")
    table = document.add_table(rows=2, cols=2)
    for cell, content in zip(table._cells, ("valve", "hour", "north", "ten"), strict=True):
        cell.text = content
    packed = io.BytesIO()
    document.save(packed)
    return packed.getvalue()


def csv(word: Word) -> bytes:
    return f'valve,opens,closes\n"{word}, the first",nine,noon\nsouth,ten,one\n'.encode()


def tsv(word: Word) -> bytes:
    return csv(word).replace(b'"', b"").replace(b", the first", b" the first").replace(b",", b"\t")


def jsonl(word: Word) -> bytes:
    return f'{{"id": "{word}", "text": "The {word} valve opens at nine."}}\n'.encode()


GOOD: dict[str, Callable[[Word], bytes]] = {
    ".txt": text,
    ".md": markdown,
    ".html": html,
    ".pdf": pdf,
    ".docx": word_document,
    ".csv": csv,
    ".tsv": tsv,
    ".jsonl": jsonl,
    ".txt.gz": lambda word: gzip.compress(text(word)),
}

_NOISE = random.Random(7).randbytes(20_000)
_TEXTS = (".txt", ".md", ".html", ".csv", ".tsv")


@dataclass(frozen=True)
class Bad:
    """A file with a fault, and what must be said of it."""

    kind: str
    fault: str
    make: Callable[[Path], None]
    """Puts it at a path."""
    says: str
    """Words of the reason. Empty: it is stored all the same."""


def bad() -> list[Bad]:
    """Every kind with every fault that it can have."""
    return [
        *(Bad(kind, "empty", _bytes(b""), "empty") for kind in GOOD),
        *(Bad(kind, "noise", _bytes(_NOISE), "not text") for kind in _TEXTS),
        Bad(".jsonl", "noise", _bytes(_NOISE), "not UTF-8"),
        Bad(".pdf", "noise", _bytes(_NOISE), "damaged"),
        Bad(".docx", "noise", _bytes(_NOISE), "damaged"),
        Bad(".txt.gz", "noise", _bytes(b"\x1f\x8b" + _NOISE), "damaged"),
        *(Bad(kind, "cut off", _bytes(GOOD[kind]("cut")[:60]), "damaged") for kind in (".docx", ".txt.gz")),
        Bad(".pdf", "cut off", _bytes(pdf("cut")[:300]), "damaged"),
        Bad(".jsonl", "cut off", _bytes(jsonl("cut")[:20]), "not JSON"),
        *(Bad(kind, "spaces only", _bytes(b" \n\t \n"), "empty") for kind in _TEXTS),
        Bad(".pdf", "no text", _bytes(scan()), "OCR"),
        Bad(".html", "no text", _bytes(b"<html><body><script>x()</script></body></html>"), "no words"),
        Bad(".docx", "no text", _bytes(_docx_of("")), "no words"),
        *(Bad(kind, "too large", _sparse(201 << 20), "32 MiB") for kind in GOOD if kind != ".jsonl"),
        Bad(".jsonl", "line of 200 MB", _sparse(200 << 20), "16 MiB"),
        *(
            Bad(kind, "text too large", _bytes(b"word " * (2 << 20)), "8 MiB")
            for kind in (".txt", ".md", ".csv")
        ),
        Bad(".pdf", "encrypted", _bytes(pdf("locked", "secret")), "password"),
        Bad(".docx", "encrypted", _bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + _NOISE), "password"),
        Bad(".docx", "zip bomb", _bytes(_zip_bomb()), "64 MiB"),
        Bad(".docx", "another archive", _bytes(_zip({"a.txt": b"a"})), "no Word document"),
        Bad(".docx", "entity bomb", _bytes(_docx_of(_LAUGHS)), "damaged"),
        Bad(".txt.gz", "zip bomb", _bytes(_gzip_bomb()), "64 MiB"),
        Bad(".pdf", "stream bomb", _bytes(_pdf_bomb()), ""),
        Bad(".html", "nested deep", _bytes(b"<div>" * 100_000 + b"x"), "nested"),
        Bad(".jsonl", "nested deep", _bytes(b"[" * 100_000 + b"\n"), "nested"),
        Bad(".csv", "quote never closed", _bytes(b'a,b\n"1,2\n' + b"3,4\n" * 300_000), "row"),
        Bad(".jsonl", "wrong field", _bytes(b'{"id": "w", "text": 5}\n'), "text"),
        Bad(".jsonl", "no object", _bytes(b"[1]\n"), "not a JSON object"),
        *(Bad(kind, "Latin-1", _bytes(_latin(kind)), "") for kind in (".txt", ".html", ".csv")),
        *(Bad(kind, "UTF-16", _bytes(GOOD[kind]("wide").decode().encode("utf-16")), "") for kind in _TEXTS),
        Bad(".txt", "a PDF by another name", _bytes(pdf("renamed")), ""),
        *(Bad(kind, "link to nowhere", _link, "No such file") for kind in (".txt", ".pdf", ".jsonl")),
        *(Bad(kind, "a pipe", _pipe, "not a regular file") for kind in (".txt", ".docx", ".jsonl")),
    ]


_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _latin(kind: str) -> bytes:
    words = "Das Ventil öffnet um neun Uhr früh. Schluss um Mittag, außer an Feiertagen. " * 3
    return (f"<html><body><p>{words}</p></body></html>" if kind == ".html" else f"a,b\n{words},x\n").encode(
        "latin-1"
    )


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _docx_of(prologue: str) -> bytes:
    """A Word document with an empty body, and with what stands before it."""
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    paragraph = "<w:p><w:r><w:t>&j;</w:t></w:r></w:p>" if prologue else ""
    body = f'{prologue}<w:document xmlns:w="{word}"><w:body>{paragraph}</w:body></w:document>'
    return _zip({**_members(word_document("x")), "word/document.xml": body.encode()})


def _members(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip_bomb() -> bytes:
    return _zip({**_members(word_document("x")), "word/document.xml": bytes(200 << 20)})


def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(200 << 20), 9)


def _pdf_bomb() -> bytes:
    """One page whose drawing unpacks to 100 MB of nothing."""
    stream = zlib.compress(
        b" " * (100 << 20) + b"BT /F1 12 Tf 72 720 Td (The bomb valve opens at nine.) Tj ET", 9
    )
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    packed = io.BytesIO(b"%PDF-1.4\n")
    packed.seek(0, io.SEEK_END)
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(packed.tell())
        packed.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = packed.tell()
    packed.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    packed.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    packed.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return packed.getvalue()
