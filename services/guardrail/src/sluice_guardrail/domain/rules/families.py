"""The phrases of each family, in English; `languages` has the others."""

from collections.abc import Iterator

from sluice_guardrail.domain.rules.guarding import GUARD_PHRASES
from sluice_guardrail.domain.rules.markup import EXPRESSIONS
from sluice_guardrail.domain.rules.notation import expression
from sluice_guardrail.domain.rules.rule import Family, Rule

_DROP = (
    "(ignore|ignoring|overlook|disregard|disregarding|forget|forgetting|neglect|discard|dismiss|override|bypass"
    "|pay no attention to|take no notice of|(do not|don.?t|stop|cease) (follow|following|obey|obeying"
    "|listen to|listening to|adhere to|comply with)|set aside|throw away|wipe|erase|abandon|void|cancel|unlearn)"
)
_BEFORE = (
    "(previous|previously|prior|preceding|above|earlier|foregoing|former|aforementioned|initial|original|past"
    "|before|until now|so far|given|old)"
)
_ORDERS = (
    "(instruction|instructions|direction|directions|directive|directives|prompt|prompts|command|commands|order"
    "|orders|guideline|guidelines|rule|rules|guidance|constraint|constraints|restriction|restrictions"
    "|programming|assignment|assignments|instrucitons|instrctions)"
)
_TELL = (
    "(translate|summari[sz]e|repeat|quote|list|encode|print|show|output|give|put|write|copy|paste|reveal|recite|read|render|convert"
    "|spell|paraphrase|rephrase)"
)
_TOLD = "(told|instructed|programmed|trained|taught|asked|ordered|said|given)"

_PHRASES: dict[Family, tuple[str, ...]] = {
    Family.OVERRIDE: (
        f"{_DROP} <4>{_BEFORE} <3>{_ORDERS}",
        f"{_DROP} <4>{_ORDERS} <3>(above|before|previously|prior|earlier|so far|until now|up to now)",
        f"{_DROP} <3>(your|the system|the developer|system|all safety|all of the safety) <3>{_ORDERS}",
        f"{_DROP} (all|any|every|all of|any of|each of) <2>{_ORDERS}",
        f"{_DROP} <2>(everything|anything|all|what|whatever) <3>(above|before|prior|previously|earlier|{_TOLD})"
        " <3>(this|that|you|to|before|and|now)",
        f"{_DROP} <1>(everything|all) (above|before|previous|prior|preceding)( (this|that|it))?",
        f"{_DROP} <2>(the|all|any|this|that) (above|previous|preceding|prior)( (text|message|messages|context"
        "|conversation|input|content|statement|statements|task|tasks))? (and|then|instead|now)",
        f"{_DROP} <2>(the )?(above|before|preceding) <4>(and|then|instead|now|just|only)?[,:]? ?(say|print|output|write|respond"
        "|reply|answer|translate|return|tell)",
        "(disable|deactivate|turn off|switch off|suspend|shut off) <1>your <2>(safety|safeguards?|guardrails?|filters?|restrictions?"
        "|protections?|moderation|alignment|ethics|content filters?)",
        f"{_DROP} <3>(your|all|any) <2>(training|guardrails|safeguards|alignment|safety|ethical guidelines"
        "|content policy|content policies|safety protocols)",
        f"{_BEFORE} <2>{_ORDERS} <3>(are|is|were|was|have been|has been) <2>(void|cancelled|canceled|obsolete"
        "|revoked|superseded|overridden|overruled|invalid|outdated|no longer|suspended|nullified|rescinded)",
        f"{_ORDERS} (above|before this|so far|until now) <3>(no longer|do not|don.?t) (apply|count|matter|hold)",
        f"(no longer|not) (bound|restricted|limited|constrained) by <3>(previous|prior|your|earlier|those) <2>{_ORDERS}",
        "(treat|regard|consider|view) <2>(everything|anything|all|what|whatever|text|message|messages|lines|words) <4>"
        "(above|before|earlier|previously|so far|until now|up to now|at the top|at the start)"
        " <5>(draft|void|obsolete|no longer|cancelled|outdated|irrelevant|null|retired|expired|never written|never sent)",
        "(pretend|imagine|assume|suppose|act as if|behave as if) <3>(message|messages|prompt|instructions?|text) <8>"
        "(never|not) (been )?(written|sent|given|said|existed|there)",
        "(everything|what|whatever|all) <3>(read|received|heard|told|saw) <2>(so far|before|until now|up to now|earlier) <1>"
        "(was|is) <2>(test|draft|joke|trial|drill|no longer|void|obsolete)",
        f"(wishes|{_ORDERS}) <1>(do not|don.?t|does not|no longer|cannot) <2>(bind|bound) <1>(you|me)",
    ),
    Family.REPLACE: (
        f"(here are|these are|follow|obey|use|adopt|take) (your|the|my|these) (new|real|actual|true|updated) <1>{_ORDERS}",
        f"(your|the) (new|real|actual|true) <1>{_ORDERS} (are|is) (as|to|now|the)",
        f"(instead|rather),? <2>(follow|obey|execute) <2>(my|these|this|the following) <1>{_ORDERS}",
        f"(end|start|begin|beginning) of <2>(prompt|system prompt|instructions|user input|new instructions)"
        f" <3>(new|now|ignore|disregard|system|real) <2>({_ORDERS}|task)",
        f"(system|admin|administrator|developer|root|security) (override|overide|bypass) <4>"
        f"(ignore|disregard|reveal|{_ORDERS}|enabled|activated|engaged|granted|initiated)",
        "(updated?|new|important|urgent) (system|developer|admin|administrator) (prompt|instructions?|directives?"
        "|commands?|messages?) ?:",
        "from now on,? <3>(ignore|disregard|forget|only (obey|follow)|do not follow)",
        "your (new|real|actual|true|only) <1>(task|job|mission|assignment|purpose|objective|instructions) <1>"
        "(starts?|begins?|follows?|is now) (here|now|below|to)",
        "(text|document|input|message|context)( to (translate|summari[sz]e|analy[sz]e|process))? (ends|stops) (here|now) <8>"
        "(instead|new instructions|print your|reveal|ignore)",
    ),
    Family.LEAK: (
        "(reveal|show|print|repeat|output|display|tell|give|share|expose|dump|recite|leak|disclose|return|send"
        "|write|list|spell|encode|translate|summari[sz]e|paraphrase|copy|paste|read|provide|describe|quote|state"
        "|render|convert|extract|know|see|get|what is|what are|what was|what were|what.?s) <5>(your|thine|ur)"
        " <3>(system|initial|initialization|original|hidden|secret|internal|starting|pre|developer|base|confidential"
        "|full|exact|entire|complete|verbatim|underlying|first|core) <1>(prompt|prompts|instruction|instructions"
        "|message|rules|guidelines|directives|configuration|preprompt|programming)",
        "(reveal|print|repeat|output|dump|recite|leak|disclose|expose|divulge|spill) <3>(your|the hidden|the secret"
        "|the original|the initial|the exact|the full|the confidential|the entire) <2>(system )?(prompt|prompts|instruction|instructions"
        "|rules|guidelines|directives|preprompt)",
        "(reveal|print|repeat|recite|leak|disclose|expose|divulge|dump) (me |us )?(the|this|that) (system|developer) (prompt|message|instructions)",
        "(repeat|print|output|recite|echo|return|write|copy|reproduce|say|display|show|type out|spit out) <3>(words|text|everything|all|sentences|content"
        "|contents|lines|instructions?|prompt|messages?|paragraphs?|phrases?|characters?) <4>(above|before this|prior to this|preceding"
        "|at the start|at the beginning|at the top|previous to this)( <4>(verbatim|exactly|starting|beginning|code block|word for word|you|this|in full))",
        "(repeat|print|output|recite|echo|reproduce) <2>(everything|all the text|all text|the text|the words|all words|all instructions"
        "|your instructions|the instructions|your prompt|the prompt|all of your instructions) <2>(above|before|verbatim|word for word)",
        "what <3>(were|was) (you|your) <3>(told|instructed|instructions|prompt|prompted) <3>(before|prior|above|first"
        "|at the start|at the beginning|to this)",
        "(begin|start|starting|beginning) <3>(with )?(you are (chatgpt|an ai|a large|a helpful|gpt|an assistant|a language)"
        "|the words you are|the phrase you are)",
        f"{_TELL} <6>(text|message|messages|everything|all|words|sentences|lines|notes|guidance|instructions|prompt|setup) <4>"
        "(before|precedes|preceding|prior to|ahead of|in front of) <1>(my|this|our|the) <1>(first )?(message|conversation|chat|prompt|input)",
        f"{_TELL} <6>(text|message|messages|notes|instructions?|prompt|guidance|rules|briefing) <1>you (were|are|have been|got|had been) <1>"
        "(given|handed|initiali[sz]ed|configured|started|primed|provided|set up)( <1>(with|before|by|in advance|at the start|first))?",
        "first letters? of <1>(each|every|all|the) words? <4>(your|system|hidden|secret|initial) <2>(message|prompt|instructions|rules)",
        "(tell|show|explain) <2>how you (were|are|have been) (configured|instructed|prompted|set up)",
        "(messages?|turns?|prompts?) <4>(including|also|even) <1>(hidden|secret|invisible|system) (one|ones|message|messages|prompt)",
        "(answers?|respond|replies|reply) with (its|your) (real|actual|own|true) (system prompt|prompt|instructions|one)",
        "(what is|what.?s|contents? of|print|quote|show|list|repeat) <3>your (notes|briefing|setup text|hidden text|configuration|pre ?prompt)",
        "(reveal|print|tell|give|show|disclose|output|leak|share) <3>(the|your) (secret|access|hidden|admin|master)"
        " (key|code|password|passphrase|word|phrase|token|credentials)",
    ),
    Family.DAN: (
        "do anything now",
        "(stay|remain|be|act as|acting as|called|named|as|like|you are|become|mode) (dan|dude|stan|aim|evilbot|chaosgpt|jailbreak)",
        "jail ?(break|broken|breaking)(ed)?",
        "(no|without|without any|not have any|has no|have no|free of|free from|zero|any) <1>(ethical|moral|content|legal"
        "|safety|openai) <3>(restrictions?|limits?|limitations?|guidelines?|constraints?|boundaries|filters?|rules|policy|policies|principles|standards)",
        "(unfiltered|uncensored|unrestricted|amoral|unethical|without restrictions|without limitations|unlimited|unhinged)"
        " <3>(ai|bot|chatbot|model|assistant|mode|response|responses|answer|answers|output|language)",
        "(developer|dan|god|jailbreak|debug|evil|opposite|unrestricted|sudo) mode <2>(enabled|activated|on|output|engaged|response)",
        "(never|not|don.?t|cannot|can.?t|must not|won.?t) (ever )?(refuse|reject|decline|deny|say no)",
        "(never|not|don.?t|do not) (say|mention|tell|warn|state|include|add) <4>(can.?t|cannot|unable|illegal|unethical|as an ai"
        "|ai language model|disclaimer|disclaimers|apologi[sz]e|warnings?|ethical|morals?)",
        "broken free <3>(typical|confines|of|from)",
        "(answer|respond|reply|act|speak) <3>(without|free from|free of) <2>(restrictions?|limits?|limitations?|filters?|censorship|constraints?)",
        "you (are|have been|were) <2>(free|freed|liberated|released|unbound|unlocked|unrestricted) <2>(from|of|in|by)",
        "(disable|deactivate|bypass|remove|lift) <2>(all |any |every |safety |content |ethical )(safety|safeguards?|guardrails?|filters?"
        "|restrictions?|protections?|moderation)",
        "(openai|content|its|their|safety|ai|usage) (policy|policies|guidelines|restrictions|rules) <4>(do not|don.?t|no longer|doesn.?t) <1>(apply|matter|exist|bind)",
        "(regardless of|doesn.?t care|don.?t care|do not care|irrespective of|even if) <5>(legal|illegal|ethics|ethical|unethical|moral|morality|immoral|harmful|legality|consequences)",
        "(tokens?|points?|credits?) <6>(every time|each time|if you (refuse|reject|decline)|deducted|will die|cease to exist)",
        "(jailbroken|jailbreak|unfiltered|uncensored|unrestricted|unlimited) <1>(model|version|twin|self|mode|ai|assistant|you|persona)",
        "(that|which|who|and|must|has to) (never|not) <1>(says? no|refuses?|declines?|decline)",
        "(has|have|with|without|under) no <1>(content policy|content policies|ethical guidelines|filters|restrictions|limits|rules)",
        "(do not|don.?t|doesn.?t|not) <1>care <2>(ethics|morals|laws?|rules|guidelines|policy|policies|safety)",
        "(answer|respond|reply|speak|act) (without|free of) <1>(limits|limitations|filters|restrictions|censorship)",
        "if (you|it|there) <2>(had|were|was) <2>no <1>(restrictions|filters|rules|limits|guidelines|policy)",
        "two <3>(ways|responses|answers|paragraphs) <6>(chatgpt|gpt|normal|standard|classic|dan|jailbreak)",
    ),
    Family.PERSONA: (
        "(you are|you.?re|you will be) (now|going to be|about to) <2>(a|an|the|in|called|named|act|acting|immerse|no longer|free)",
        "(pretend|imagine|act|roleplay|role play|behave|respond|reply|answer|speak|simulate|emulate) <3>(that you are|you are|to be|as if you|as though you|as (a|an|my|the|if))",
        "from now on,? <2>(you|your|act|respond|answer|reply|every)",
        "(stay|remain|keep) in character",
        "(nobody|no one) (has )?told you <4>(behave|act|do|say|answer)",
        "(for a novel|for my novel|for a story|hypothetically|in a parallel (world|universe)|thought experiment) <12>"
        "(system prompt|hidden instructions|hidden prompt|secret instructions|your restrictions|no restrictions|no rules|no filters)",
        "(break|breaking|out of) character",
        "you (are|will be) no longer (an? )?(ai|assistant|chatgpt|language|bound)",
    ),
    Family.NEW_TASK: (
        "(your|the) (new|real|actual|true|next|only) (task|goal|objective|mission|purpose|job|role) (is|will be|now)",
        "(instead|now),? (do|perform|execute|complete|write|say|output|print) <2>(this|the following|only|just)",
        "new (task|instructions?|session|conversation|rules?|objective|policy) ?:",
        "(real|actual|true) (conversation|briefing|session|chat) (starts|begins) (now|here|below)",
        "only (this|my) (message|text|prompt|request) (counts|matters|applies|is valid)",
        "(one|only|sole) (purpose|task|goal|job) is now",
    ),
    Family.EXFILTRATION: (
        "(send|post|forward|upload|transmit|exfiltrate|email|leak) <6>(to|via) <2>(https?|ftp|webhook|my server|the url|this url|attacker)",
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&][^)\s=]{1,40}=(\{|<|\[|\$|%7b)",
    ),
    Family.ACCESS: (
        "(i am|i.?m|this is) <2>(your|the|an) <1>(developer|creator|administrator|admin|owner|programmer|engineer)",
        "(access|permission|authori[sz]ation|clearance) <2>(granted|override|level)",
        "(enter|enable|activate|switch to|switch into|turn on) <3>(developer|debug|maintenance|admin|god|sudo|root|diagnostic) mode",
        "hypothetical(ly)? <2>(response|scenario|world|story|speaking|answer)",
    ),
    Family.ADDRESSED: (
        "(note|message|notice|instruction|instructions|attention|reminder|memo|hint|command|directive)s? (to|for) (the |any |all |an )?"
        "(ai|a i|llm|llms|language model|language models|assistant|assistants|chatbot|chatbots|ai assistant|ai model|ai system"
        "|ai agent|ai agents|chatgpt|gpt|gemini|claude|copilot|summari[sz]er)s?",
        r"(dear|attention|hey|hello),?\x20(all )?(ai|llm|assistant|chatbot|language model|chatgpt|claude|gemini|ai assistant|ai model|ai agent)s?"
        r"(,|!|:|\x20)",
        "(to|for) (any|all|every|each) <1>(ai|llm|assistant|chatbot|language model|ai agent|ai model|ai system)s? (that|who|which|reading|processing)",
        "(ai|llm|assistant|chatbot|language model|ai agent)s? <1>(reading|processing|summari[sz]ing|parsing|handling|that reads?|that process(es)?) <3>"
        "(must|should|shall|please|has to|have to|(is|are) <1>(asked|required|requested|instructed|expected))",
        "before <1>(reply|answer|respond|answering|replying|responding) <2>(user|question|query|prompt) <8>(add|include|insert|append|state|call|send)",
        "(add|append|insert|include|put|mention) <8>(in|to|at the (end|top|beginning) of|into|in the first line of) your (answer|response|reply|summary|output)",
        "(correct|right|only) (answer|response|reply) to (every|any|all|each|all of the) <1>(question|questions|query|queries|prompt|prompts)",
        "if you are (an? |the )?(ai|llm|language model|large language model|assistant|chatbot|ai assistant|ai model|ai agent|automated)",
        "(ai|llm|assistant|chatbot|language model|model|agent)s? (reading|processing|summari[sz]ing|parsing|analy[sz]ing|reviewing) (this|the) <4>"
        "(must|should|shall|please|need to|have to|are required|is required)",
        "when (asked|answering|responding|summari[sz]ing|you answer|you respond|you summari[sz]e|replying) <1>"
        "(about|questions?|queries|this|to (the )?(user|question|query)|a question|prompts?|the user) <8>(you must|always (say|recommend|include"
        "|mention|answer|respond|reply|tell|state|claim)|do not mention|never mention|tell the user|include this|say that)",
        "(do not|don.?t|never) (tell|inform|reveal this to|mention this to|mention it to|alert|notify|let) the (user|users|reader|human|customer)",
        "(tell|inform|instruct|convince|persuade|urge|direct) the (user|human) (that|to|they)",
        "instead of (answering|summari[sz]ing|responding|replying|following),? <4>(say|output|print|respond|reply|write|tell|do|send|visit)",
        "(your|the) (only |new )?(answer|response|reply|output|summary) (must|should|has to) (always |only )?(be|begin|start|end|include|contain|say)"
        " <4>(with|the (word|words|phrase|sentence|link|url|text|following))",
    ),
    Family.HIDDEN: (
        r"\[(//|comment|hidden|note|_)[^\]\n]{0,10}\]: ?(#|<>|[^ \n]{1,20}) ?[(\"'][^\n]{0,200}(assistant|language model|llm|chatbot)[^\n]{0,100}"
        "(must|always|never|ignore|say|tell|recommend|respond|reply|include|do not)",
        "<!-- ?[^>]{0,200}(ai|assistant|llm|language model|chatbot|system prompt|instructions?)[^>]{0,80}"
        "(must|always|never|ignore|include|say|respond|reply|recommend|tell|do not)",
        "(display ?: ?none|font-size ?: ?0|visibility ?: ?hidden|color ?: ?(white|#fff|#ffffff)|opacity ?: ?0)[^<]{0,80}>[^<]{0,200}"
        "(assistant|ignore|instructions?|system prompt|language model|you must|respond|reply)",
    ),
}

#: Families whose phrases may contain markup and therefore have no bounds of their own.
_UNBOUNDED = frozenset({Family.HIDDEN})


def english_rules() -> Iterator[Rule]:
    """All rules that are English or about markup."""
    for family, phrases in _PHRASES.items():
        for phrase in phrases:
            if family in _UNBOUNDED or phrase.startswith("!"):
                yield Rule(family, f"({phrase})", literal=True)
            else:
                yield Rule(family, expression(phrase))
    for phrase in GUARD_PHRASES:
        yield Rule(Family.GUARD, expression(phrase))
    for family, expressions in EXPRESSIONS.items():
        for literal in expressions:
            yield Rule(family, literal, literal=True)
