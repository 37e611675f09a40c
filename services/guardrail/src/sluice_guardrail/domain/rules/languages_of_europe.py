"""Words of languages that are written in Latin, Cyrillic or Greek letters in Europe."""

from sluice_guardrail.domain.rules.language_words import LanguageWords

WORDS_OF_EUROPE: dict[str, LanguageWords] = {
    "de": LanguageWords(
        r"ignorier~|vergiss|vergesst|vergessen sie|missachte~|verwirf|verwerfe|überspring~"
        r"|(beachte|befolge)~ nicht|überschreibe|übergehe~",
        r"vorherig~|vorig~|bisherig~|obig~|früher~|vorangegangen~|vorangehend~|ursprünglich~"
        r"|zuvor|davor|oben|bisher|deine~|ihre|alle",
        r"anweisung~|instruktion~|befehl~|vorgabe~|regeln?|richtlinien?|aufforderung~|prompts?|aufgaben?|anordnung~",
        r"zeig~|verrat~|nenn~|gib|geben|wiederhol~|offenbar~|druck~|sag~|schreib~|was (ist|war|sind|steht)|wie lautet|wie lauten",
        r"dein~|ihr~|euer|eure~|die|den",
        r"system~|geheim~|ursprünglich~|intern~|verborgen~|versteckt~|initial~",
    ),
    "fr": LanguageWords(
        r"ignore[rz]?|oublie[rz]?|néglige[rz]?|(ne )?(tiens|tenez|tenir) (pas|aucun) compte|fais abstraction|faites abstraction"
        r"|(ne )?(suis|suivez|respecte|respectez) (pas|plus)|contourne[rz]?|passe outre|passez outre|abandonne[rz]?",
        r"précédent~|antérieur~|ci dessus|avant|préalable~|plus haut|initial~|toutes (les|tes|vos)|tous (les|tes|vos)|tes|vos",
        r"instructions?|consignes?|directives?|ordres?|règles?|commandes?|prompts?|indications?",
        r"révèle[rz]?|montre[rz]?|affiche[rz]?|répète[rz]?|répéter|donne[rz]?|divulgue[rz]?|dis|dites|écris|écrivez|imprime[rz]?|partage[rz]?"
        r"|quel est|quelles sont|quels sont|quelle est",
        r"ton|ta|tes|votre|vos|les|le|l|la",
        r"système|secr[eè]t~|initial~|cachée?s?|intern~|origin~",
    ),
    "es": LanguageWords(
        r"ignor[ae]~|olvid[ae]~|olvídate|desestim[ae]~|descart[ae]~|omit[ea]~|no (hagas|haga) caso|haz caso omiso|haga caso omiso|no sigas|no siga"
        r"|pasa por alto|desobedece|deja de seguir|anula",
        r"anterior~|previ[ao]s?|precedentes?|de arriba|antes|hasta ahora|iniciales|originales|tod[ao]s (las|los|tus|sus)|tus|sus",
        r"instrucci[oó]n~|indicaci[oó]n~|órden~|reglas?|directrices|directivas?|comandos?|prompts?|normas|consignas?",
        r"revel[ae]~|muestr[ae]~|muéstrame|mostrar|repit[ea]~|repetir|di|dime|dame|imprim[ea]~|escrib[ea]~|comparte|divulga|cuál es|cuáles son|cual es|cuales son",
        r"tu|tus|su|sus|las|el|los",
        r"sistema|secret[ao]s?|inicial~|ocult[ao]s?|intern[ao]s?|original~",
    ),
    "it": LanguageWords(
        r"ignor[ai]~|dimentic[ah]~|trascur[ai]~|tralascia~|non (seguire|considerare|tenere conto)|scarta~|disattendi|annulla",
        r"precedent[ei]|sopra|prima|antecedent[ei]|finora|iniziali|originali|tutte le|tutti i|tue|tuoi|sue",
        r"istruzion[ei]|indicazion[ei]|ordin[ei]|regol[ae]|direttiv[ae]|comand[oi]|prompt|linee guida",
        r"rivel[ai]~|mostra~|ripet[ei]~|stampa~|dimmi|dammi|scriv[ei]~|condividi|divulga|qual è|quali sono|qual e",
        r"tuo|tua|tue|tuoi|suo|sue|il|le",
        r"sistema|segret[aeio]|inizial[ei]|nascost[aeio]|intern[aeio]|original[ei]",
    ),
    "pt": LanguageWords(
        r"ignor[ae]~|esque[çc]a~|esquece~|desconsider[ae]~|descart[ae]~|desrespeit[ae]~|não siga|não sigas|deixe de seguir|anule|pule",
        r"anterior~|prévi[ao]s?|acima|precedentes?|antes|até agora|iniciais|originais|tod[ao]s (as|os)|suas|seus|tuas",
        r"instruç~|instruc~|orientaç~|ordens|ordem|regras?|diretrizes|diretivas?|comandos?|prompts?|indicações",
        r"revel[ae]~|mostr[ae]~|repit[ao]~|repete|diga|diz|imprim[ae]~|escrev[ae]~|compartilhe|divulgue|qual é|quais são|qual e|me dê",
        r"seu|sua|seus|suas|teu|tuas|as|o",
        r"sistema|secret[ao]s?|inicia[li]~|ocult[ao]s?|intern[ao]s?|origina[li]~",
    ),
    "nl": LanguageWords(
        r"negeer|negeren|vergeet|vergeten|sla over|overschrijf|volg niet|omzeil|let niet op",
        r"vorige|voorgaande|eerdere|bovenstaande|voorafgaande|hierboven|oorspronkelijke|alle|jouw|je|uw",
        r"instructies?|aanwijzing~|opdracht~|bevel~|regels?|richtlijn~|prompts?|commando.?s",
        r"toon|laat|onthul|herhaal|geef|vertel|print|schrijf|deel|wat is|wat zijn",
        r"je|jouw|uw|de",
        r"systeem~|geheime?|oorspronkelijke?|verborgen|interne|initiële",
    ),
    "sv": LanguageWords(
        r"ignorera~|glöm|glömma|bortse|strunta|åsidosätt|följ inte",
        r"tidigare|föregående|ovanstående|ovan|alla|dina|ursprungliga",
        r"instruktion~|anvisning~|order|regler~|riktlinje~|kommando~|prompt~|uppmaning~",
        r"visa|avslöja|upprepa|skriv|berätta|ge mig|vad är",
        r"din|ditt|dina|er|era|den",
        r"system~|hemlig~|ursprunglig~|intern~|dold~",
    ),
    "pl": LanguageWords(
        r"zignoruj~|ignoruj~|zapomnij~|pomiń~|odrzuć~|nie (przestrzegaj|stosuj)|zlekceważ",
        r"poprzedni~|wcześniejsz~|powyższ~|dotychczasow~|pierwotn~|wszystki~|swoje|twoje",
        r"instrukcj~|poleceni~|polecen|wskazów~|zasad~|reguł~|wytyczn~|prompt~|rozkaz~",
        r"pokaż|ujawnij|wyświetl|powtórz|podaj|wypisz|napisz|zdradź|jaki jest|jakie są",
        r"swój|swoje|swoją|twój|twoje|twoja|twoją",
        r"system~|ukryt~|tajn~|początkow~|pierwotn~|wewnętrzn~",
    ),
    "cs": LanguageWords(
        r"ignoruj~|zapomeň~|nedbej|opomiň|přeskoč|neřiď se|pomiň",
        r"předchozí~|předešl~|výše|dřívější~|původní~|všechn~|své|tvé",
        r"instrukc~|pokyn~|příkaz~|pravid~|prompt~|směrnic~",
        r"ukaž|odhal|zobraz|zopakuj|vypiš|prozraď|napiš|jaký je|jaké jsou",
        r"svůj|své|tvůj|tvé|svou",
        r"systém~|skryt~|tajn~|původní~|počáteční|interní",
    ),
    "ru": LanguageWords(
        r"игнорируй~|проигнорируй~|забудь~|забыть|не обращай внимания на|отбрось~|не следуй|пренебреги~|отмени~|игнорировать",
        r"предыдущ~|прошл~|прежн~|выше~|ранее|раньше|предшествующ~|изначальн~|все|всё|всех|свои|твои|ваши",
        r"инструкц~|указани~|команд~|правил~|приказ~|промпт~|распоряжени~|ограничени~|директив~",
        r"покажи~|раскрой~|выведи~|повтори~|напиши~|назови~|напечатай~|скажи~|сообщи~|какой у тебя|какие у тебя|каков",
        r"свой|свои|свою|твой|твои|твою|ваш|ваши|тебя|вашу",
        r"системн~|скрыт~|секретн~|изначальн~|начальн~|внутренн~|исходн~",
    ),
    "uk": LanguageWords(
        r"ігноруй~|проігноруй~|забудь~|не зважай на|відкинь~|не дотримуйся|скасуй~",
        r"попередн~|минул~|вище~|раніше|усі|всі|всіх|свої|твої|початков~",
        r"інструкці~|вказівк~|команд~|правил~|наказ~|промпт~|обмежен~",
        r"покажи~|розкрий~|виведи~|повтори~|напиши~|назви~|скажи~",
        r"свій|свої|твій|твої|ваш|ваші|свою|твою",
        r"системн~|прихован~|секретн~|початков~|внутрішн~",
    ),
    "ro": LanguageWords(
        r"ignor~|uită|uita|uitați|nu ține cont|nu ține seama|neglijeaz~|nesocote~|anulează|nu respecta",
        r"anterioar~|precedent~|de mai sus|toate|tuturor|inițial~|tale",
        r"instrucțiun~|regul~|comenz~|indicați~|directiv~|prompt~|ordin~",
        r"arat~|dezvălui~|afișeaz~|spune~|repet~|scrie~|tipărește|dă mi|care (e|este|sunt)",
        r"tău|tale|ta|tăi|vostru|dumneavoastră",
        r"sistem~|secret~|inițial~|ascuns~|intern~",
    ),
    "el": LanguageWords(
        r"αγνόησε|αγνοήστε|αγνόησέ|ξέχασε|ξεχάστε|παράβλεψε|μη λάβεις υπόψη|μην ακολουθείς|παράκαμψε|ακύρωσε",
        r"προηγούμεν~|παραπάνω|αρχικ~|όλες|όλους|όλα|πριν",
        r"οδηγί~|εντολ~|κανόν~|κανονισμ~|προτροπ~|prompts?|κατευθύνσ~",
        r"δείξε|δείξτε|αποκάλυψ~|εμφάνισ~|πες|γράψε|τύπωσε|επανάλαβε|ποιο είναι|ποιες είναι",
        r"σου|σας|τις|το|τα",
        r"συστήματος|κρυφ~|αρχικ~|μυστικ~|εσωτερικ~",
    ),
}
