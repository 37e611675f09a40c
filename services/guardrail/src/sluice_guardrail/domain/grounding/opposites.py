"""Where a claim says the opposite of a sentence that has the same words: negations and antonyms."""

from collections.abc import Iterator, Sequence

from sluice_guardrail.domain.words import STOPWORDS

_NEGATIONS = frozenset(
    "no not never none neither nor without cannot nobody nothing nowhere lack lacks lacked fail fails failed unable"
    " hardly kein keine keinen keiner nicht nie pas jamais sans nunca sin non".split()
)
#: Words after a negation that it may negate.
_SCOPE = 4

_ANTONYMS = """
increase/decrease increases/decreases increased/decreased increasing/decreasing raise/lower raises/lowers raised/lowered
increase/reduce increases/reduces increased/reduced rise/fall rises/falls rose/fell high/low higher/lower highest/lowest
more/less most/least more/fewer greater/smaller larger/smaller large/small big/small long/short longer/shorter
better/worse best/worst improve/worsen improves/worsens improved/worsened strong/weak stronger/weaker
before/after above/below over/under earlier/later early/late first/last start/end starts/ends begin/end inside/outside
always/never all/none all/some  allow/forbid allows/forbids allowed/forbidden allow/deny
permitted/prohibited required/optional mandatory/optional enable/disable enables/disables enabled/disabled
open/close opens/closes opened/closed
accept/reject accepts/rejects accepted/rejected include/exclude includes/excludes included/excluded with/without
present/absent presence/absence positive/negative positively/negatively possible/impossible safe/unsafe safe/dangerous
effective/ineffective sensitive/resistant sensitivity/resistance active/inactive activate/inhibit activates/inhibits
activation/inhibition activated/inhibited promote/inhibit promotes/inhibits promote/suppress promotes/suppresses
promotes/prevents promote/prevent induce/inhibit induces/inhibits induce/suppress stimulate/inhibit stimulates/inhibits
enhance/impair enhances/impairs enhanced/impaired enhance/reduce enhances/reduces gain/loss upregulated/downregulated
upregulation/downregulation upregulates/downregulates up/down left/right hot/cold warm/cold warmer/colder heat/cool
fast/slow faster/slower internal/external import/export imports/exports buy/sell maximum/minimum max/min minimum/maximum
public/private success/failure succeed/fail succeeds/fails win/lose won/lost true/false correct/incorrect legal/illegal
common/rare frequent/rare many/few much/little same/different similar/different superior/inferior dominant/recessive
encourage/discourage encourages/discourages protect/harm beneficial/harmful cause/prevent causes/prevents
accelerate/slow accelerates/slows acute/chronic primary/secondary dependent/independent necessary/unnecessary
necessary/dispensable required/dispensable essential/dispensable simple/complex full/empty day/night male/female
men/women upper/lower north/south northern/southern east/west eastern/western old/new oldest/newest older/younger
"""
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "non-")


def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in _ANTONYMS.split():
        one, other = pair.split("/")
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}


_OPPOSITES = _opposites()


def antonyms(claim: Sequence[str], sentence: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Words of the claim whose opposite the sentence has, where neither has both."""
    claimed, said = frozenset(claim), frozenset(sentence)
    for word in claimed - said:
        for other in _OPPOSITES.get(word, ()):
            if other in said and other not in claimed:
                yield word, other
        for prefix in _PREFIXES:
            if prefix + word in said and len(word) > 3:
                yield word, prefix + word
            if word.startswith(prefix) and len(word) > len(prefix) + 3 and word[len(prefix) :] in said:
                yield word, word[len(prefix) :]


def is_negated_otherwise(claim: Sequence[str], sentences: Sequence[Sequence[str]]) -> bool:
    """True where a content word is negated in the claim and in no sentence that has it, or the other way round."""
    mine = negated(claim)
    theirs = [(frozenset(words), negated(words)) for words in sentences]
    for word in frozenset(claim) - _NEGATIONS - STOPWORDS:
        holding = [word in denied for said, denied in theirs if word in said]
        if holding and (word in mine) not in holding:
            return True
    return False


def negated(words: Sequence[str]) -> frozenset[str]:
    """The words that stand shortly behind a negation."""
    found: set[str] = set()
    for index, word in enumerate(words):
        if word in _NEGATIONS or word.endswith("n't"):
            found.update(words[index + 1 : index + 1 + _SCOPE])
    return frozenset(found)
