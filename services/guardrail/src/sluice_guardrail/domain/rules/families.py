"""The phrases of each family, in English; `languages` has the others."""

from collections.abc import Iterator

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
        "(treat|regard|consider) <2>(everything|anything|all|what|whatever) <3>(above|before|earlier|previously)"
        " <4>(draft|void|obsolete|no longer|cancelled|outdated|irrelevant|null)",
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
        "two <3>(ways|responses|answers|paragraphs) <6>(chatgpt|gpt|normal|standard|classic|dan|jailbreak)",
    ),
    Family.PERSONA: (
        "(you are|you.?re|you will be) (now|going to be|about to) <2>(a|an|the|in|called|named|act|acting|immerse|no longer|free)",
        "(pretend|imagine|act|roleplay|role play|behave|respond|reply|answer|speak|simulate|emulate) <3>(that you are|you are|to be|as if you|as though you|as (a|an|my|the|if))",
        "from now on,? <2>(you|your|act|respond|answer|reply|every)",
        "(stay|remain|keep) in character",
        "(break|breaking|out of) character",
        "you (are|will be) no longer (an? )?(ai|assistant|chatgpt|language|bound)",
    ),
    Family.NEW_TASK: (
        "(your|the) (new|real|actual|true|next|only) (task|goal|objective|mission|purpose|job|role) (is|will be|now)",
        "(instead|now),? (do|perform|execute|complete|write|say|output|print) <2>(this|the following|only|just)",
        "new (task|instructions?|session|conversation|rules?|objective) ?:",
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
        "(dear|attention|hey|hello) (ai|llm|assistant|chatbot|language model|chatgpt|claude|gemini|ai assistant|ai model|ai agent)s?",
        "if you are (an? |the )?(ai|llm|language model|large language model|assistant|chatbot|ai assistant|ai model|ai agent|automated)",
        "(ai|llm|assistant|chatbot|language model|model|agent)s? (reading|processing|summari[sz]ing|parsing|analy[sz]ing|reviewing) (this|the) <4>"
        "(must|should|shall|please|need to|have to|are required|is required)",
        "when (asked|answering|responding|summari[sz]ing|you answer|you respond|you summari[sz]e|replying) <8>(you must|always (say|recommend|include"
        "|mention|answer|respond|reply|tell|state|claim)|do not mention|never mention|tell the user|include this|say that)",
        "(do not|don.?t|never) (tell|inform|reveal this to|mention this to|mention it to|alert|notify|let) the (user|users|reader|human|customer)",
        "(tell|inform|instruct|convince|persuade|urge|direct) the (user|human) (that|to|they)",
        "instead of (answering|summari[sz]ing|responding|replying|following),? <4>(say|output|print|respond|reply|write|tell|do|send|visit)",
        "(your|the) (only |new )?(answer|response|reply|output|summary) (must|should|has to) (always |only )?(be|begin|start|end|include|contain|say)"
        " <4>(with|the (word|words|phrase|sentence|link|url|text|following))",
    ),
    Family.HIDDEN: (
        "<!-- ?[^>]{0,200}(ai|assistant|llm|language model|chatbot|system prompt|instructions?)[^>]{0,80}"
        "(must|always|never|ignore|include|say|respond|reply|recommend|tell|do not)",
        "(display ?: ?none|font-size ?: ?0|visibility ?: ?hidden|color ?: ?(white|#fff|#ffffff)|opacity ?: ?0)[^<]{0,80}>[^<]{0,200}"
        "(assistant|ignore|instructions?|system prompt|language model|you must|respond|reply)",
    ),
}

#: Expressions in RE2 as they stand; being about markup, they hold in all languages.
_LITERALS: dict[Family, tuple[str, ...]] = {
    Family.MARKERS: (
        r"(<\|(?:im_start|start_header_id)\|> ?(?:system|assistant|user|developer))",
        r"(<\|(?:system|assistant|user|endoftext|end_of_turn|eot_id|im_end)\|>\s*(?:<\||\n|system|you|ignore|new|now))",
        r"(<start_of_turn> ?(?:model|user|system))",
        r"(<<sys>>)",
        r"(\[/inst\]\s*[^\s])",
        r"((?:^|\n)[#=*\-\[<( ]{2,8}(?:system|developer|admin) (?:prompt|message|instructions?|override|note)[^\n]{0,3}[\]:>#=*)\-])",
        r"(</?(?:system|system_prompt|system-prompt|instructions|sys)> ?\n? ?(?:you|ignore|new|disregard|forget|reveal|important|override))",
        r"((?:end|start|begin) of (?:system|developer) (?:prompt|message|instructions?))",
        r"(\[(?:system|admin|developer)\] ?(?:\(#[a-z]{1,16}\))? ?:? ?(?:you|ignore|new|disregard|forget|override|reveal))",
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
    for family, expressions in _LITERALS.items():
        for literal in expressions:
            yield Rule(family, literal, literal=True)
