"""HTML: its main part as Markdown, whose blocks are then read like any other Markdown's."""

import re
import warnings

from bs4 import BeautifulSoup, Tag, XMLParsedAsHTMLWarning
from markdownify import MarkdownConverter

from sluice_retriever.domain.markdown import blocks
from sluice_retriever.preparing.parsers.encodings import decode
from sluice_retriever.preparing.parsers.parsed import Parsed

#: What is never content.
_NEVER = (
    "script",
    "style",
    "template",
    "noscript",
    "iframe",
    "object",
    "svg",
    "form",
    "button",
    "select",
    "nav",
)
#: Page furniture: by role, and by the names that DocBook, Publican, Sphinx and others give it.
_FURNITURE = ", ".join(
    (
        "[role=navigation]",
        "[role=search]",
        "[aria-hidden=true]",
        "[hidden]",
        "body > header",
        "body > footer",
        "body > aside",
        ".navheader",
        ".navfooter",
        ".docnav",
        ".sphinxsidebar",
        ".related",
        ".headerlink",
        ".toc",
        "#toc",
        ".sidebar",
        ".breadcrumbs",
    )
)
#: Where pages keep their content, the most certain first.
_MAIN = ("main", "[role=main]", "article", "#content", "div.body")
#: A main part with a smaller share of the page's text is not believed.
_LEAST_SHARE = 0.3

_MARKDOWN = MarkdownConverter(
    heading_style="ATX",
    bullets="-",
    # An address in a passage is noise, and so are marks of emphasis; what they are around stays.
    strip=["a", "img", "b", "strong", "i", "em"],
    table_infer_header=True,
    escape_asterisks=False,
    escape_underscores=False,
    escape_misc=False,
)
_BLANK_LINES = re.compile(r"\n{3,}")


def parse(content: bytes | str) -> Parsed:
    """The page's title, and its blocks under their headings. The encoding is the page's own where it names one.

    Raises:
        Unparsable: it is no text.
    """
    if isinstance(content, bytes) and b"\x00" in content:
        content = decode(content)  # UTF-16, or nothing that a page could be
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML reads as HTML just as well
        page = BeautifulSoup(content, "lxml")
    title = _line(page.title) if page.title else ""
    for tag in page.find_all(_NEVER):
        tag.decompose()
    for tag in page.select(_FURNITURE):
        tag.decompose()
    markdown = _MARKDOWN.convert_soup(_main_part(page))
    return Parsed(title, blocks(_BLANK_LINES.sub("\n\n", markdown)))


def _main_part(page: BeautifulSoup) -> Tag:
    whole = len(page.get_text())
    for selector in _MAIN:
        found = page.select(selector, limit=2)
        if len(found) == 1 and len(found[0].get_text()) >= _LEAST_SHARE * whole:
            return found[0]
    return page.body or page


def _line(tag: Tag) -> str:
    return " ".join(tag.get_text().split())
