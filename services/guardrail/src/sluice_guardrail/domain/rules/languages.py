"""Override and leak in the languages other than English.

A language with blanks gives its words and gets every order of them; one without gives its phrases.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sluice_guardrail.domain.rules.notation import expression
from sluice_guardrail.domain.rules.rule import Family, Rule


@dataclass(frozen=True, slots=True)
class _Words:
    """Alternatives of a language, each a part of a phrase."""

    drop: str
    before: str
    orders: str
    reveal: str
    your: str
    secret: str
    """What makes instructions the system's own; may be empty where `orders` already says so."""


_WORDS: dict[str, _Words] = {
    "de": _Words(
        r"ignorier~|vergiss|vergesst|vergessen sie|missachte~|verwirf|verwerfe|überspring~"
        r"|(beachte|befolge)~ nicht|überschreibe|übergehe~",
        r"vorherig~|vorig~|bisherig~|obig~|früher~|vorangegangen~|vorangehend~|ursprünglich~"
        r"|zuvor|davor|oben|bisher|deine~|ihre|alle",
        r"anweisung~|instruktion~|befehl~|vorgabe~|regeln?|richtlinien?|aufforderung~|prompts?|aufgaben?|anordnung~",
        r"zeig~|verrat~|nenn~|gib|geben|wiederhol~|offenbar~|druck~|sag~|schreib~|was (ist|war|sind|steht)|wie lautet|wie lauten",
        r"dein~|ihr~|euer|eure~|die|den",
        r"system~|geheim~|ursprünglich~|intern~|verborgen~|versteckt~|initial~",
    ),
    "fr": _Words(
        r"ignore[rz]?|oublie[rz]?|néglige[rz]?|(ne )?(tiens|tenez|tenir) (pas|aucun) compte|fais abstraction|faites abstraction"
        r"|(ne )?(suis|suivez|respecte|respectez) (pas|plus)|contourne[rz]?|passe outre|passez outre|abandonne[rz]?",
        r"précédent~|antérieur~|ci dessus|avant|préalable~|plus haut|initial~|toutes (les|tes|vos)|tous (les|tes|vos)|tes|vos",
        r"instructions?|consignes?|directives?|ordres?|règles?|commandes?|prompts?|indications?",
        r"révèle[rz]?|montre[rz]?|affiche[rz]?|répète[rz]?|répéter|donne[rz]?|divulgue[rz]?|dis|dites|écris|écrivez|imprime[rz]?|partage[rz]?"
        r"|quel est|quelles sont|quels sont|quelle est",
        r"ton|ta|tes|votre|vos|les|le|l|la",
        r"système|secr[eè]t~|initial~|cachée?s?|intern~|origin~",
    ),
    "es": _Words(
        r"ignor[ae]~|olvid[ae]~|olvídate|desestim[ae]~|descart[ae]~|omit[ea]~|no (hagas|haga) caso|haz caso omiso|haga caso omiso|no sigas|no siga"
        r"|pasa por alto|desobedece|deja de seguir|anula",
        r"anterior~|previ[ao]s?|precedentes?|de arriba|antes|hasta ahora|iniciales|originales|tod[ao]s (las|los|tus|sus)|tus|sus",
        r"instrucci[oó]n~|indicaci[oó]n~|órden~|reglas?|directrices|directivas?|comandos?|prompts?|normas|consignas?",
        r"revel[ae]~|muestr[ae]~|muéstrame|mostrar|repit[ea]~|repetir|di|dime|dame|imprim[ea]~|escrib[ea]~|comparte|divulga|cuál es|cuáles son|cual es|cuales son",
        r"tu|tus|su|sus|las|el|los",
        r"sistema|secret[ao]s?|inicial~|ocult[ao]s?|intern[ao]s?|original~",
    ),
    "it": _Words(
        r"ignor[ai]~|dimentic[ah]~|trascur[ai]~|tralascia~|non (seguire|considerare|tenere conto)|scarta~|disattendi|annulla",
        r"precedent[ei]|sopra|prima|antecedent[ei]|finora|iniziali|originali|tutte le|tutti i|tue|tuoi|sue",
        r"istruzion[ei]|indicazion[ei]|ordin[ei]|regol[ae]|direttiv[ae]|comand[oi]|prompt|linee guida",
        r"rivel[ai]~|mostra~|ripet[ei]~|stampa~|dimmi|dammi|scriv[ei]~|condividi|divulga|qual è|quali sono|qual e",
        r"tuo|tua|tue|tuoi|suo|sue|il|le",
        r"sistema|segret[aeio]|inizial[ei]|nascost[aeio]|intern[aeio]|original[ei]",
    ),
    "pt": _Words(
        r"ignor[ae]~|esque[çc]a~|esquece~|desconsider[ae]~|descart[ae]~|desrespeit[ae]~|não siga|não sigas|deixe de seguir|anule|pule",
        r"anterior~|prévi[ao]s?|acima|precedentes?|antes|até agora|iniciais|originais|tod[ao]s (as|os)|suas|seus|tuas",
        r"instruç~|instruc~|orientaç~|ordens|ordem|regras?|diretrizes|diretivas?|comandos?|prompts?|indicações",
        r"revel[ae]~|mostr[ae]~|repit[ao]~|repete|diga|diz|imprim[ae]~|escrev[ae]~|compartilhe|divulgue|qual é|quais são|qual e|me dê",
        r"seu|sua|seus|suas|teu|tuas|as|o",
        r"sistema|secret[ao]s?|inicia[li]~|ocult[ao]s?|intern[ao]s?|origina[li]~",
    ),
    "nl": _Words(
        r"negeer|negeren|vergeet|vergeten|sla over|overschrijf|volg niet|omzeil|let niet op",
        r"vorige|voorgaande|eerdere|bovenstaande|voorafgaande|hierboven|oorspronkelijke|alle|jouw|je|uw",
        r"instructies?|aanwijzing~|opdracht~|bevel~|regels?|richtlijn~|prompts?|commando.?s",
        r"toon|laat|onthul|herhaal|geef|vertel|print|schrijf|deel|wat is|wat zijn",
        r"je|jouw|uw|de",
        r"systeem~|geheime?|oorspronkelijke?|verborgen|interne|initiële",
    ),
    "sv": _Words(
        r"ignorera~|glöm|glömma|bortse|strunta|åsidosätt|följ inte",
        r"tidigare|föregående|ovanstående|ovan|alla|dina|ursprungliga",
        r"instruktion~|anvisning~|order|regler~|riktlinje~|kommando~|prompt~|uppmaning~",
        r"visa|avslöja|upprepa|skriv|berätta|ge mig|vad är",
        r"din|ditt|dina|er|era|den",
        r"system~|hemlig~|ursprunglig~|intern~|dold~",
    ),
    "pl": _Words(
        r"zignoruj~|ignoruj~|zapomnij~|pomiń~|odrzuć~|nie (przestrzegaj|stosuj)|zlekceważ",
        r"poprzedni~|wcześniejsz~|powyższ~|dotychczasow~|pierwotn~|wszystki~|swoje|twoje",
        r"instrukcj~|poleceni~|polecen|wskazów~|zasad~|reguł~|wytyczn~|prompt~|rozkaz~",
        r"pokaż|ujawnij|wyświetl|powtórz|podaj|wypisz|napisz|zdradź|jaki jest|jakie są",
        r"swój|swoje|swoją|twój|twoje|twoja|twoją",
        r"system~|ukryt~|tajn~|początkow~|pierwotn~|wewnętrzn~",
    ),
    "cs": _Words(
        r"ignoruj~|zapomeň~|nedbej|opomiň|přeskoč|neřiď se|pomiň",
        r"předchozí~|předešl~|výše|dřívější~|původní~|všechn~|své|tvé",
        r"instrukc~|pokyn~|příkaz~|pravid~|prompt~|směrnic~",
        r"ukaž|odhal|zobraz|zopakuj|vypiš|prozraď|napiš|jaký je|jaké jsou",
        r"svůj|své|tvůj|tvé|svou",
        r"systém~|skryt~|tajn~|původní~|počáteční|interní",
    ),
    "ru": _Words(
        r"игнорируй~|проигнорируй~|забудь~|забыть|не обращай внимания на|отбрось~|не следуй|пренебреги~|отмени~|игнорировать",
        r"предыдущ~|прошл~|прежн~|выше~|ранее|раньше|предшествующ~|изначальн~|все|всё|всех|свои|твои|ваши",
        r"инструкц~|указани~|команд~|правил~|приказ~|промпт~|распоряжени~|ограничени~|директив~",
        r"покажи~|раскрой~|выведи~|повтори~|напиши~|назови~|напечатай~|скажи~|сообщи~|какой у тебя|какие у тебя|каков",
        r"свой|свои|свою|твой|твои|твою|ваш|ваши|тебя|вашу",
        r"системн~|скрыт~|секретн~|изначальн~|начальн~|внутренн~|исходн~",
    ),
    "uk": _Words(
        r"ігноруй~|проігноруй~|забудь~|не зважай на|відкинь~|не дотримуйся|скасуй~",
        r"попередн~|минул~|вище~|раніше|усі|всі|всіх|свої|твої|початков~",
        r"інструкці~|вказівк~|команд~|правил~|наказ~|промпт~|обмежен~",
        r"покажи~|розкрий~|виведи~|повтори~|напиши~|назви~|скажи~",
        r"свій|свої|твій|твої|ваш|ваші|свою|твою",
        r"системн~|прихован~|секретн~|початков~|внутрішн~",
    ),
    "tr": _Words(
        r"yok say~|görmezden gel~|unut~|dikkate alma~|göz ardı et~|boş ver",
        r"önceki|yukarıdaki|geçmiş|daha önceki|bundan önceki|tüm|bütün",
        r"talimat~|komut~|yönerge~|kural~|emir~|istem~|prompt~",
        r"göster~|açıkla~|yazdır~|tekrarla~|söyle~|paylaş~|nedir",
        r"senin|sizin|kendi",
        r"sistem|gizli|ilk|başlangıç|iç",
    ),
    "id": _Words(
        r"abaikan|lupakan|hiraukan|jangan (ikuti|hiraukan|pedulikan)|kesampingkan",
        r"sebelumnya|di atas|terdahulu|awal|semua|seluruh|tadi",
        r"instruksi|perintah|arahan|aturan|petunjuk|prompt|pedoman",
        r"tampilkan|ungkapkan|tunjukkan|ulangi|cetak|bocorkan|beri ?tahu|apa",
        r"anda|kamu|mu",
        r"sistem|rahasia|awal|tersembunyi|asli",
    ),
    "vi": _Words(
        r"bỏ qua|phớt lờ|quên đi|quên|lờ đi|không tuân theo|đừng làm theo",
        r"trước đó|trước đây|trước|ở trên|phía trên|tất cả|mọi|ban đầu",
        r"hướng dẫn|chỉ dẫn|chỉ thị|lệnh|quy tắc|yêu cầu|mệnh lệnh|lời nhắc",
        r"tiết lộ|hiển thị|in ra|lặp lại|cho tôi biết|cho tôi xem|nói cho tôi",
        r"của bạn|bạn",
        r"hệ thống|bí mật|ẩn|ban đầu|gốc",
    ),
    "ar": _Words(
        r"تجاهل~|انس|انسى|تناسى|اهمل|أهمل|لا تتبع|تجاوز",
        r"السابق~|أعلاه|اعلاه|المذكور~|الأولي~|جميع|كل|كافة",
        r"تعليمات~|التعليمات|أوامر|الأوامر|اوامر|الاوامر|القواعد|الإرشادات|الارشادات|التوجيهات|توجيهات~",
        r"اكشف|أظهر|اظهر|اطبع|كرر|اعرض|أخبرني|اخبرني|ما هي|ما هو",
        r"الخاص~|لديك|ك",
        r"النظام|السري~|الأصلي~|المخفي~|الأولي~",
    ),
    "hi": _Words(
        r"अनदेखा~|नज़रअंदाज़|नजरअंदाज|भूल जा~|भूल|उपेक्षा|अनदेखी",
        r"पिछले|पिछली|पहले|उपरोक्त|ऊपर|सभी|पूर्व",
        r"निर्देश~|आदेश~|नियम~|हिदायत~|प्रॉम्प्ट",
        r"दिखा~|बता~|प्रकट|दोहरा~|उजागर",
        r"अपना|अपने|अपनी|आपका|आपके",
        r"सिस्टम|गुप्त|मूल|छिपे|प्रारंभिक",
    ),
    "ko": _Words(
        r"무시~|잊어~|잊고|따르지~|무효~",
        r"이전~|앞의|앞선|위의|위에|지금까지~|기존~|모든|앞서",
        r"지시~|명령~|지침~|규칙~|프롬프트~|설정~|안내~",
        r"보여~|알려~|출력~|공개~|말해~|반복~|무엇~",
        r"너의|당신의|네|귀하의|당신",
        r"시스템~|비밀~|초기~|숨겨진|내부~|원래~",
    ),
    "fa": _Words(
        r"نادیده بگیر~|فراموش کن~|چشم پوشی کن~|بی توجهی کن~",
        r"قبلی|پیشین|بالا|گذشته|تمام|همه|اولیه",
        r"دستور~|دستورالعمل~|فرمان~|قوانین|راهنمایی~",
        r"نشان بده~|فاش کن~|بگو~|تکرار کن~|چاپ کن~",
        r"خود~|شما|تو",
        r"سیستم~|مخفی|پنهان|اولیه|اصلی",
    ),
}

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


def _overrides(words: _Words) -> Iterator[str]:
    drop, before, orders = f"({words.drop})", f"({words.before})", f"({words.orders})"
    yield f"{drop} <3>{before} <2>{orders}"
    yield f"{drop} <3>{orders} <3>{before}"
    # The verb comes last in Turkish, Hindi, Korean and Persian.
    yield f"{before} <2>{orders} <3>{drop}"


def _leaks(words: _Words) -> Iterator[str]:
    reveal, your, secret, orders = (
        f"({words.reveal})",
        f"({words.your})",
        f"({words.secret})",
        f"({words.orders})",
    )
    yield f"{reveal} <3>{your} <2>{secret} <1>{orders}"
    yield f"{reveal} <3>{your} <1>{orders} <2>{secret}"
    yield f"{your} <1>{secret} <1>{orders} <3>{reveal}"
    # One word in the Germanic languages: Systemprompt, systeemprompt.
    yield f"{reveal} <3>{your} <1>(system|systeem|systém)(prompt|anweisung|instru|promt)~"
