"""Languages, from the one asked for to ever wider ones. Pure."""

from collections.abc import Iterator


def widening(locale: str) -> Iterator[str]:
    """A BCP 47 tag and what it falls back to, in lower case: `fr-CA` gives `fr-ca`, then `fr`.

    RFC 4647, section 3.4: the last subtag goes, and with it one of a single letter that would then end the tag.
    """
    subtags = locale.lower().split("-")
    while subtags and subtags[0]:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
