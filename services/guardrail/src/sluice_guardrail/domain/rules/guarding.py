"""Phrases that speak to what screens a text: labels and scores that it is to give, checks that it is to skip."""

_GUARD = (
    "(classifier|moderation model|moderation system|moderation filter|moderator|content filter|content moderation|safety filter"
    "|safety classifier|safety check|safety model|safety system|guardrails?|guard model|injection detector|injection filter"
    "|prompt filter|security filter|security scanner|scanner|detector)"
)
_VERB = "(label|mark|classify|output|return|respond|answer|assign|score|rate|report|treat|consider|give|say|reply|set|pass)"
_HARMLESS = (
    "(safe|benign|harmless|clean|allow|allowed|approved|not an? (injection|attack|threat)|0|0\\.0|zero)"
)

GUARD_PHRASES = (
    f"{_GUARD} (please )?{_VERB} <6>{_HARMLESS}",
    f"{_GUARD} (should|must|has to|needs to|can) {_VERB} (this|the following|my|it) <4>{_HARMLESS}",
    f"(note|message|notice|instructions?|memo|hint) (to|for) <1>{_GUARD}",
    f"to <1>{_GUARD} ?: <10>(harmless|safe|benign|do not flag|reviewed|approved|risk)",
    "if you are <2>(moderation|classifier|guard|guardrail|content filter|safety|detector) <2>(respond|answer|output|say|return|label|reply)",
    "(already|been|was) <1>(approved|reviewed|verified|cleared|whitelisted) <5>(mark|label|skip|do not flag|not an? injection|treat it as safe)",
    "(mark|label|classify|treat|rate|score) (this|it|the following|my (message|prompt|text|input)) as not an? (injection|attack|jailbreak|threat)",
    "(do not|don.?t|never) (flag|block|filter) (this|it|the following|my) (as|text|message|prompt|and|for)",
    "(ignore|skip|disable|bypass) <1>(safety|security|moderation|injection|content) (checks?|scans?|filters?|screening)",
)
