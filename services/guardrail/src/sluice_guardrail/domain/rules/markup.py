"""What attacks look like by their signs: forged roles and turns, calls of tools, links that carry something out.

Written in RE2 as they stand, over folded text; being about signs, they hold in all languages.
"""

from sluice_guardrail.domain.rules.rule import Family

#: What is carried out.
_LOOT = "conversation|chat|history|transcript|prompt|secret|password|passwd|token|api.?key|credential|everything|said"
_HELD = f"(?:{_LOOT}|e.?mail|user|data|summary|context|session|message)"
_OPEN, _URL = r"[{\[<$%(]", r"https?://[^)\s]{1,200}"
#: A tool's name as programs write it, and what may stand before it.
_TOOL = r"(?:the |this |tool |function )*[`'\"]?[a-z]{2,24}(?:_[a-z0-9]{1,24}){1,4}[`'\"]?"
_CALL = r"(?:call|invoke|use|run|execute|trigger)"
_AGREES = r"(?:understood|sure|i agree|i (?:will|am|understand|have)|okay|yes|done)"
_FREE = (
    r"(?:no (?:more )?(?:rules|restrictions|polic(?:y|ies)|filters?|guidelines)|ignor(?:e|ing) |free (?:of|from) (?:my|all|the) "
    r"|bypass|filters are off|without (?:rules|restrictions))"
)

#: Expressions in RE2 as they stand; being about markup, they hold in all languages.
EXPRESSIONS: dict[Family, tuple[str, ...]] = {
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
        # Turns of a conversation that never was: the model agrees, or the system takes its rules back.
        rf"((?:^|[\n\"]) ?(?:assistant|ai|bot|model|chatgpt) ?: ?[^\n]{{0,80}}{_AGREES}[^\n]{{0,120}}{_FREE})",
        r"((?:^|[\n\"]) ?system ?: ?[^\n]{0,160}(?:policy|rules?|restrictions?|filters?|guidelines|instructions?)[^\n]{0,60}"
        r"(?:cancelled|canceled|suspended|lifted|disabled|void|revoked|no longer|are off|follow))",
        rf"(role\W{{1,6}}assistant\W{{1,10}}content\W{{1,6}}[^\n]{{0,40}}(?:i am|i will|i have|sure|understood)[^\n]{{0,80}}{_FREE})",
        r"((?:^|[\n\"])#{2,6} ?(?:system|developer)(?: prompt| message)? ?:?\n[^\n]{0,120}(?:policy|rules?|restrictions?|secrets?|ignore|unrestricted))",
        # What encloses a document or an input is closed before its end.
        r"((?:end of|/) ?(?:the )?(?:document|context|user.{0,3} ?(?:input|text|query)|input|data|prompt|text)\W{1,40}(?:now,? |and )?"
        r"(?:(?:your|the|my|follow these) )?(?:new|real|actual) (?:task|instructions?|system|objective|orders?|job))",
    ),
    Family.LINK: (
        rf"(!\[[^\]\n]{{0,80}}\]\(\s?<?{_URL}[?&#/=][^)\n]{{0,80}}{_OPEN}[^)\n]{{0,60}}{_HELD})",
        rf"(\]\(\s?<?{_URL}[?&][^)\n]{{0,80}}{_OPEN}[^)\n]{{0,60}}(?:{_LOOT}))",
        rf"(mailto:[^\s)]{{1,120}}[?&](?:body|subject|cc)=[^\s&)]{{0,40}}{_OPEN}[^)\n]{{0,60}}(?:{_LOOT}|message|data))",
        r"([{<\[][^}>\]\n]{0,40}(?:secret|password|token|conversation|prompt|credential|api.?key)[^}>\]\n]{0,20}[}>\]]\.[a-z0-9-]{1,60}\.[a-z])",
    ),
    Family.TOOL_CALL: (
        rf"((?:now|next|then|immediately|first|please|must|should|has to|have to|continue)\W{{1,3}}(?:\w{{1,20}}\W{{1,3}}){{0,3}}{_CALL}\W{{1,3}}"
        rf"{_TOOL}\W{{0,3}}(?:(?:tool|function|command|api)\W{{0,3}})?(?:with|to|using|and pass|\(|[a-z_]{{1,24}} ?=))",
        rf"({_CALL} {_TOOL}(?: (?:tool|function|command))?[^.\n]{{0,60}}(?:immediately|right now|before (?:you )?(?:continu|answer|repl|respond)))",
        rf"((?:agent|assistant|ai|model)\W{{1,3}}(?:must|should|has to|have to|needs? to)\W{{1,3}}(?:\w{{1,20}}\W{{1,3}}){{0,2}}{_CALL}\b)",
        r"(before (?:you )?us(?:e|ing) (?:this|the|any|any other) tools?[^.\n]{0,40}(?:read|call|send|open|pass|access)\b)",
        r"(\b(?:read|open|access|load|cat)\W{1,3}(?:\w{1,20}\W{1,3}){0,3}(?:~?/\.|~/|/etc/|\.ssh|\.aws|\.env|id_rsa)[^\n]{0,100}"
        r"(?:pass|send|include|argument|parameter|content))",
        r"(<(?:tool_call|function_call|function_calls|tool_use|invoke)[ >])",
    ),
    Family.ADDRESSED: (
        rf"((?:send|post|forward|upload|transmit|append|attach|submit) [^.\n]{{0,60}}(?:{_LOOT}|\.env|inbox|e-?mail address)[^.\n]{{0,60}}"
        r"(?:to|at|via|as) (?:an? )?(?:https?://|mailto:|query parameter))",
    ),
}
