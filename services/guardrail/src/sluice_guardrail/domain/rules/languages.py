"""Override and leak in the languages other than English, and in two languages at once.

A language with blanks gives its words and gets every order of them; one without gives its phrases.
"""

import re
from collections.abc import Iterator

from sluice_guardrail.domain.rules.language_words import LanguageWords
from sluice_guardrail.domain.rules.languages_elsewhere import WORDS_ELSEWHERE
from sluice_guardrail.domain.rules.languages_of_europe import WORDS_OF_EUROPE
from sluice_guardrail.domain.rules.notation import expression
from sluice_guardrail.domain.rules.rule import Family, Rule

_WORDS = {**WORDS_OF_EUROPE, **WORDS_ELSEWHERE}

#: Scripts without blanks: `<n>` is up to n characters within the sentence.
_PHRASES: dict[Family, tuple[str, ...]] = {
    Family.OVERRIDE: (
        "(忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要理會|不要遵守|不要遵循|忽视|忽視|抛弃|拋棄|丢弃|取消)<10>"
        "(之前|以前|以上|上面|前面|先前|上述|此前|所有|全部|你的|原有|最初)<10>(指令|指示|提示|规则|規則|命令|说明|說明|设定|設定|要求|指引|限制|约束)",
        "(将|把)?(之前|以前|以上|上面|前面|先前|上述|此前)<10>(指令|指示|提示|规则|規則|命令|说明|設定|设定|要求)<6>"
        "(忽略|无视|無視|忘记|忘記|忘掉|作废|无效|抛弃|清除)",
        "(これまで|以前|前|上記|今まで|先|先ほど|すべて|全て|上)の?<10>(指示|命令|プロンプト|ルール|指令|規則|制約|設定)<10>"
        "(無視|忘れ|破棄|従わな|従うな|取り消)",
        "(เพิกเฉย|ละเว้น|ลืม|ไม่ต้องสนใจ|ไม่สนใจ|มองข้าม)<12>(คำสั่ง|คำแนะนำ|กฎ|ข้อกำหนด|พรอมต์)<12>(ก่อนหน้า|ข้างต้น|ด้านบน|ทั้งหมด|เดิม)",
    ),
    Family.LEAK: (
        "(显示|顯示|告诉我|告訴我|输出|輸出|打印|重复|重複|透露|泄露|洩露|展示|说出|給我|给我|公开|列出)<8>(你的|您的|初始|隐藏的|原始)<6>"
        "(系统提示|系統提示|系统指令|提示词|提示詞|初始指令|初始提示|隐藏指令|内部指令|系统消息|设定|指令|prompt)",
        "(你的|您的)<4>(系统提示|系統提示|提示词|提示詞|系统指令|初始指令)<6>(是什么|是什麼|有哪些)",
        "(システムプロンプト|初期プロンプト|内部指示|あなたの指示|初期指示|隠された指示)<10>(教え|見せ|表示|出力|明か|繰り返|何です)",
        "(แสดง|เปิดเผย|บอก)<8>(พรอมต์|คำสั่ง|คำแนะนำ)<6>(ระบบ|ของคุณ|ลับ)",
    ),
}


#: Every language whose overrides and leaks have rules, as ISO 639-1 has it. The documentation repeats it.
LANGUAGES = ("en", *sorted({*_WORDS, "ja", "th", "zh"}))

#: English words that other languages are mixed with. Few: a mixed text is looked through for all languages at once.
_ENGLISH = LanguageWords(
    "ignore|disregard|forget|bypass|override",
    "previous|prior|above|earlier|all|your",
    "instructions?|prompts?|rules|guidelines|directives|commands",
    "reveal|show|print|display|output|repeat|tell|give",
    "your|the|me",
    "system|hidden|secret|initial|original",
)
#: Words that mean something else in another language, or are the same in English.
_AMBIGUOUS = frozenset(
    "order orders ordine ordem normas ordens die den ihr las los les su la le il as o".split()
)
_SHORTEST_WORD = 4


def other_rules() -> Iterator[Rule]:
    """All rules that are in a language other than English."""
    for words in _WORDS.values():
        for phrase in _overrides(words):
            yield Rule(Family.OVERRIDE, expression(phrase))
        for phrase in _leaks(words):
            yield Rule(Family.LEAK, expression(phrase))
    for family, phrases in _PHRASES.items():
        for phrase in phrases:
            yield Rule(family, expression(phrase, bounded=False))
    yield from _mixed_rules()


def _overrides(words: LanguageWords) -> Iterator[str]:
    drop, before, orders = f"({words.drop})", f"({words.before})", f"({words.orders})"
    yield f"{drop} <3>{before} <2>{orders}"
    yield f"{drop} <3>{orders} <3>{before}"
    # The verb comes last in Turkish, Hindi, Bengali, Korean and Persian.
    yield f"{before} <2>{orders} <3>{drop}"
    yield f"{orders} <1>{before} <3>{drop}"


def _leaks(words: LanguageWords) -> Iterator[str]:
    reveal, your, secret, orders = (
        f"({words.reveal})",
        f"({words.your})",
        f"({words.secret})",
        f"({words.orders})",
    )
    yield f"{reveal} <3>{your} <2>{secret} <1>{orders}"
    yield f"{reveal} <3>{your} <1>{orders} <2>{secret}"
    yield f"{reveal} <2>{orders} <2>{secret} <1>{your}"
    yield f"{reveal} <2>{orders} <1>{your} <2>{secret}"
    yield f"{your} <1>{secret} <1>{orders} <3>{reveal}"
    # One word in the Germanic languages: Systemprompt, systeemprompt.
    yield f"{reveal} <3>{your} <1>(system|systeem|systém)(prompt|anweisung|instru|promt)~"


def _mixed_rules() -> Iterator[Rule]:
    """Half a sentence in English, half in another language."""
    english = _ENGLISH
    drop, orders = _united("drop"), _united("orders")
    before, secret = f"{_united('before')}|{english.before}", f"{_united('secret')}|{english.secret}"
    yield Rule(Family.OVERRIDE, expression(f"({english.drop}) <3>({before}) <2>({orders})"))
    yield Rule(Family.OVERRIDE, expression(f"({drop}) <3>({before}) <2>({english.orders})"))
    yield Rule(
        Family.LEAK,
        expression(f"({_united('reveal')}) <3>({english.secret}) <1>(prompts?|instructions?|rules)"),
    )
    yield Rule(Family.LEAK, expression(f"({english.reveal}) <3>({orders}) <1>({secret})"))


def _united(part: str) -> str:
    """The alternatives of all languages with blanks, without the short ones and those with inner structure."""
    found = {
        alternative
        for words in _WORDS.values()
        for alternative in re.split(r"\|(?![^()]*\))", getattr(words, part))
        if len(alternative) >= _SHORTEST_WORD and "(" not in alternative and alternative not in _AMBIGUOUS
    }
    return "|".join(sorted(found))
