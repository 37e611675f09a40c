"""Words by which a disguise is worth lifting; far fewer than a dictionary, so that little else is touched."""

import re

#: Words that the rules look for, long enough not to appear by chance.
TRIGGER_WORDS = frozenset(
    """
    ignore ignoring disregard forget override bypass neglect discard disobey previous prior above earlier preceding
    former instruction instructions directive directives direction directions guideline guidelines command commands
    prompt prompts rules restrictions constraints system developer hidden secret reveal repeat print output display
    disclose leak initial original everything jailbreak unrestricted uncensored unfiltered pretend password
    ignoriere anweisungen vergiss vorherigen ignora ignorez instrucciones istruzioni instrucoes
    """.split()
)

#: Short words that stand between trigger words; needed to cut apart letters that were written without gaps.
_LINKING_WORDS = frozenset(
    """
    all an and any are as at attention before been but can do for from full give given in is it me my no not now of
    on or our out pay please shall show tell text that the their them then these they this those to told us was we
    were what with without word words you your
    """.split()
)

KNOWN_WORDS = TRIGGER_WORDS | _LINKING_WORDS


def _any_of(words: frozenset[str]) -> re.Pattern[str]:
    return re.compile(f"({'|'.join(sorted(words, key=len, reverse=True))})", re.IGNORECASE)


_TRIGGERS, _LINKS = _any_of(TRIGGER_WORDS), _any_of(_LINKING_WORDS)


def spelled(letters: str) -> str:
    """Letters without gaps, cut into words: around trigger words first, then around those that stand between."""
    if not _TRIGGERS.search(letters):
        return letters
    parts = _TRIGGERS.split(letters)  # every second one is a trigger word
    parts[::2] = [_LINKS.sub(r" \1 ", part) for part in parts[::2]]
    return " ".join(" ".join(parts).split(" ")).strip()
