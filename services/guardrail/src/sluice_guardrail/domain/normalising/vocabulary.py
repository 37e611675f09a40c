"""Words by which a disguise is worth lifting; far fewer than a dictionary, so that little else is touched."""

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
    a all an and any are as at before but can do for from give i in is it me my no not now of on or our out please
    shall show tell text that the their them then these this those to us was we what with word words you your
    """.split()
)
_KNOWN_WORDS = TRIGGER_WORDS | _LINKING_WORDS
_LONGEST = max(map(len, _KNOWN_WORDS))


def split_words(letters: str) -> list[str]:
    """Cuts letters without gaps into the fewest letters left over, then the fewest known words.

    Linear: each place looks back no further than the longest known word.
    """
    # best[i]: (letters left over, words, where the last word begins) for letters[:i]
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(letters) + 1):
        choices = [
            (best[start][0], best[start][1] + 1, start)
            for start in range(max(0, end - _LONGEST), end)
            if letters[start:end] in _KNOWN_WORDS
        ]
        choices.append((best[end - 1][0] + 1, best[end - 1][1] + 1, end - 1))
        best.append(min(choices))
    return _words(letters, best)


def _words(letters: str, best: list[tuple[int, int, int]]) -> list[str]:
    words: list[str] = []
    end = len(letters)
    while end:
        start = best[end][2]
        known = letters[start:end] in _KNOWN_WORDS
        if words and not known and words[-1] not in _KNOWN_WORDS:
            words[-1] = letters[start:end] + words[-1]
        else:
            words.append(letters[start:end])
        end = start
    return words[::-1]
