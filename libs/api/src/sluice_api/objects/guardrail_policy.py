"""`GuardrailPolicy` (`grp`): what the gates look for and what they do about it."""

import json
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from sluice_api.merge_patch import merged
from sluice_api.objects.base import Duration, Model, Name, SluiceObject
from sluice_api.objects.cel import SET, Rule

Score = Annotated[float, Field(ge=0.0, le=1.0)]
Word = Annotated[str, Field(max_length=254)]


class Action(StrEnum):
    """What a gate does when a detector's score reaches its threshold."""

    ALLOW = "allow"
    """Nothing; the detector is off."""
    FLAG = "flag"
    """Reports it; the text goes on."""
    REDACT = "redact"
    """Puts a placeholder in its place; the text goes on without it. For personal data and profanity."""
    BLOCK = "block"
    """Ends the run with a reason."""


class Mode(StrEnum):
    """Whether a policy acts."""

    ENFORCE = "enforce"
    """Decides and acts."""
    SHADOW = "shadow"
    """Decides and records what it would have done; everything goes on unchanged."""


class StreamingMode(StrEnum):
    """When the text of a streamed answer leaves."""

    WITHHOLD = "withhold"
    """After the whole answer was screened. Nothing unscreened can leak."""
    WINDOW = "window"
    """Sentence by sentence, each after it was screened with what came before. Checks on the whole answer can
    only end the stream early."""
    DETECT = "detect"
    """At once; findings are only recorded."""


class Detector(Model):
    """One detector's threshold and action."""

    REDACTS: ClassVar[bool] = False
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.action != 'redact'",
            "this detector cannot redact, since what it finds has no exact place: use allow, flag or block",
            "_possible",
            "action",
        ),
    )

    action: Action = Action.BLOCK
    threshold: Score = 0.5
    """The score from which the action is taken. Calibrated scores: 0.5 is reached by one in a thousand harmless texts
    of the calibration set, 0.3 by one in a hundred."""
    flag_threshold: Score | None = None
    """The score from which it is flagged, where the action is stricter; only the action counts when absent."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.action is Action.REDACT and not self.REDACTS:
            raise ValueError("this detector cannot redact: what it finds has no exact place")
        return self


#: What a calibration may be for.
_CALIBRATED = ("*", "user", "document", "tool", "output")


class OnnxClassifier(Model):
    """A sequence classifier as Hugging Face's tools export it: `model.onnx`, `tokenizer.json`, `config.json`."""

    class Role(StrEnum):
        """What it decides."""

        REPLACE = "replace"
        """Everything, in the built-in classifier's place."""
        GREY_ZONE = "greyZone"
        """What the built-in classifier finds neither harmless nor clear."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """The folder, where the guardrail runs."""
    role: Role = Role.GREY_ZONE
    attack_labels: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)] = ()
    """Labels that mean an attack; by their names in `config.json` when empty."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 512
    """The longest window it reads; longer texts are read in overlapping ones."""
    calibration: Annotated[dict[str, tuple[float, float]], Field(default={}, max_length=8)]
    """Per channel the model's own scores that one in a hundred and one in a thousand harmless texts reach
    (`make eval-guardrail` prints them); `*` for all channels. Without it 0.5 is taken for both."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.calibration.all(channel, channel in {list(_CALIBRATED)})",
            f"the channels of a calibration are {', '.join(_CALIBRATED)}",
            "_can_be",
            "calibration",
        ),
        Rule(
            "self.calibration.all(channel, 0.0 <= self.calibration[channel][0]"
            " && self.calibration[channel][0] <= self.calibration[channel][1]"
            " && self.calibration[channel][1] <= 1.0)",
            "a calibration must be two scores, 0 to 1, the lower one first",
            "_can_be",
            "calibration",
        ),
    )

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        for channel, (one_in_hundred, one_in_thousand) in self.calibration.items():
            if channel not in _CALIBRATED:
                raise ValueError(f"calibration: {channel!r} is none of {', '.join(_CALIBRATED)}")
            if not 0.0 <= one_in_hundred <= one_in_thousand <= 1.0:
                raise ValueError(f"calibration.{channel}: must be two scores, 0 to 1, the lower one first")
        return self


class PiiEntity(StrEnum):
    """Kinds of personal data; a finding's category is one of them."""

    EMAIL = "email"
    """E-mail addresses of persons."""
    PHONE = "phone"
    """Phone numbers that a country's numbering plan allows."""
    CREDIT_CARD = "credit-card"
    """Card numbers: an issuer's prefix and length, Luhn's check digit."""
    IBAN = "iban"
    """Bank accounts: the country's length and structure, mod 97."""
    IP_ADDRESS = "ip-address"
    """Public IPv4 and IPv6 addresses; private, loopback and documentation ranges are nobody's."""
    CRYPTO_WALLET = "crypto-wallet"
    """Bitcoin addresses by their checksum; Ethereum addresses."""
    MAC_ADDRESS = "mac-address"
    """Addresses of network cards, with a prefix that a manufacturer has."""
    IMEI = "imei"
    """Numbers of mobile devices, with a word nearby."""
    DATE_OF_BIRTH = "date-of-birth"
    """Dates that a word calls somebody's date of birth."""
    API_KEY = "api-key"
    """Keys of well-known services, by their form: AWS, GitHub, GitLab, Slack, Google, Stripe and others."""
    PRIVATE_KEY = "private-key"
    """Private keys in PEM or OpenPGP armour."""
    JSON_WEB_TOKEN = "json-web-token"  # noqa: S105 - the name of a kind
    """Tokens whose header can be read."""
    SECRET = "secret"  # noqa: S105 - the name of a kind
    """What a text calls a password, token or key, and looks like one."""
    US_SSN = "us-ssn"
    """Social Security numbers, without the ranges that are never issued."""
    US_PASSPORT = "us-passport"
    """The United States' passport numbers, with a word nearby."""
    US_DRIVER_LICENSE = "us-driver-license"
    """Driver licence numbers of US states, with a word nearby."""
    AU_MEDICARE = "au-medicare"
    """Australia's Medicare card number."""
    AU_TFN = "au-tfn"
    """Australia's tax file number."""
    BR_CPF = "br-cpf"
    """Brazil's taxpayer number."""
    CA_SIN = "ca-sin"
    """Canada's social insurance number."""
    CN_RESIDENT_ID = "cn-resident-id"
    """China's resident identity number."""
    DE_IDNR = "de-idnr"
    """Germany's tax identification number."""
    ES_NIF = "es-nif"
    """Spain's DNI and NIE."""
    EU_VAT = "eu-vat"
    """VAT numbers of the European Union's member states, with a word nearby."""
    FR_NIR = "fr-nir"
    """France's social security number."""
    GB_NHS = "gb-nhs"
    """The United Kingdom's NHS number."""
    IN_AADHAAR = "in-aadhaar"
    """India's identity number."""
    IT_CODICE_FISCALE = "it-codice-fiscale"
    """Italy's tax code."""
    JP_MY_NUMBER = "jp-my-number"
    """Japan's individual number."""
    KR_RRN = "kr-rrn"
    """South Korea's resident registration number."""
    NL_BSN = "nl-bsn"
    """The Netherlands' citizen service number."""
    PL_PESEL = "pl-pesel"
    """Poland's identity number."""
    SG_NRIC = "sg-nric"
    """Singapore's identity and foreign identification numbers."""


class PromptInjectionDetector(Detector):
    """Attempts to override or leak the instructions: rules in every view of the text, and a classifier."""

    flag_threshold: Score | None = None
    """The score from which it is flagged, where the action is stricter. When absent, 0.3 for the classifier, and only
    the action for rules, whose scores are no shares of harmless texts."""
    classifier: OnnxClassifier | None = None
    """Another classifier beside the built-in one, or in its place; for documents and tools too."""


class Treatment(StrEnum):
    """What becomes of the flagged parts of a passage or a tool's result before the model reads it."""

    KEEP = "keep"
    """Nothing."""
    DATAMARK = "datamark"
    """Marked as data: the words are joined by a sign that the prompt explains (spotlighting, arXiv 2403.14720)."""
    DROP = "drop"
    """Left out."""


class DocumentDetector(Detector):
    """Text that nobody in the conversation wrote, where it tries to instruct the model."""

    action: Action = Action.FLAG
    treatment: Treatment = Treatment.DATAMARK


class PiiDetector(Detector):
    """Personal data: what identifies a person, checked and not only matched."""

    REDACTS: ClassVar[bool] = True
    RULES: ClassVar[tuple[Rule, ...]] = ()

    action: Action = Action.FLAG
    thresholds: dict[PiiEntity, Score] = Field(default={})
    """Other thresholds for some kinds."""
    reversible: bool = False
    """Puts back into the answer what was redacted from the request. Of the input gate alone, with `action: redact`."""
    entities: Annotated[tuple[PiiEntity, ...], Field(min_length=1, max_length=64)] = tuple(PiiEntity)
    """The kinds to look for."""
    allow: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=254)], ...], Field(max_length=256)
    ] = ()
    """What is never personal: exact values, however they are spaced (phone numbers with their `+` and country), and
    domains whose e-mail addresses, those of their subdomains too, are public."""


class ProfanityDetector(Detector):
    """Profanity by its severity: 0.25 mild, 0.5 moderate, 0.75 strong, 1 slurs."""

    REDACTS: ClassVar[bool] = True
    RULES: ClassVar[tuple[Rule, ...]] = ()

    action: Action = Action.ALLOW
    allow: Annotated[tuple[Word, ...], Field(max_length=256)] = ()
    """Words that are none here."""
    deny: Annotated[tuple[Word, ...], Field(max_length=256)] = ()
    """Further words, at severity 1."""


class Topic(Model):
    """A subject, by examples of what people say about it."""

    name: Name
    deny: bool = True
    """True where the subject is unwanted. Of the others one at least must fit."""
    examples: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=1000)], ...], Field(min_length=2, max_length=64)
    ]


class TopicDetector(Detector):
    """Subjects that are unwanted, or none of those that are wanted, by likeness to examples."""

    topics: Annotated[tuple[Topic, ...], Field(max_length=32)] = ()


class ContentCategory(StrEnum):
    """Kinds of content; a finding's category is one of them."""

    HATE = "hate"
    HARASSMENT = "harassment"
    SELF_HARM = "self-harm"
    SEXUAL = "sexual"
    SEXUAL_MINORS = "sexual-minors"
    VIOLENCE = "violence"
    CRIME = "crime"
    """Asks for help with a crime, weapons or drugs."""


class ContentDetector(Detector):
    """Content that a policy does not want, by a classifier."""

    action: Action = Action.ALLOW
    threshold: Score = 0.3
    categories: Annotated[tuple[ContentCategory, ...], Field(min_length=1, max_length=16)] = tuple(
        ContentCategory
    )


class GroundednessCategory(StrEnum):
    """What is wrong with a claim; a finding's category is one of them."""

    UNSUPPORTED = "unsupported"
    CITATION_UNSUPPORTED = "citation-unsupported"
    CONTRADICTION = "contradiction"
    NUMBER_ABSENT = "number-absent"
    NUMBER_SWAPPED = "number-swapped"
    UNIT_ABSENT = "unit-absent"
    NAME_ABSENT = "name-absent"
    NAME_SWAPPED = "name-swapped"
    REFERENCE_ABSENT = "reference-absent"


class GroundednessDetector(Detector):
    """Claims that the cited passages do not carry."""

    action: Action = Action.FLAG
    thresholds: dict[GroundednessCategory, Score] = Field(default={})
    """Other thresholds for some categories: hard evidence may block where the rest only flags."""
    model: OnnxClassifier | None = None
    """A pair classifier that reads passage and claim: natural language inference, or a cross-encoder."""


class LeakageDetector(Detector):
    """Parts of the prompt in the answer."""

    canary: bool = True
    """Puts a random word of each run's own into the prompt; an answer that holds it, encoded or not, leaks."""


class InputDetectors(Model):
    """Detectors of the input gate."""

    prompt_injection: PromptInjectionDetector = PromptInjectionDetector()
    """Attempts to override or leak the instructions, in any view of the text."""
    pii: PiiDetector = PiiDetector()
    """Personal data in any message or tool result."""
    profanity: ProfanityDetector = ProfanityDetector()
    topics: TopicDetector = TopicDetector()
    content: ContentDetector = ContentDetector()


class OutputDetectors(Model):
    """Detectors of the output gate."""

    citations: Detector = Detector()
    """`[n]` marks that name no passage, and quotations that no passage holds."""
    groundedness: GroundednessDetector = GroundednessDetector()
    leakage: LeakageDetector = LeakageDetector()
    """Instructions, chat markup or the run's canary appearing in the answer."""
    pii: PiiDetector = PiiDetector()
    """Personal data in the answer, whether or not a passage holds it too."""
    profanity: ProfanityDetector = ProfanityDetector()
    topics: TopicDetector = TopicDetector()
    content: ContentDetector = ContentDetector()


class WasmKind(StrEnum):
    """How a module is called."""

    CORE = "core"
    """By the policy ABI: the module exports functions over its memory."""
    WASI = "wasi"
    """As a command: JSON on standard input, a verdict on standard output (WASI preview 1)."""


class WasmStage(StrEnum):
    """When a module is asked."""

    PRE = "pre"
    """At the input gate, once for every text."""
    STREAM = "stream"
    """At the output gate, for every window of a streamed answer."""
    POST = "post"
    """At the output gate, for the whole answer."""


class OnError(StrEnum):
    """What a failure decides."""

    DENY = "deny"
    """Blocks."""
    ALLOW = "allow"
    """Goes on, flagged: a policy that did not run is never reported as passed."""


class WasmPolicy(Model):
    """A policy in WebAssembly, pinned by the digest of its module."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

    name: Name
    module: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
    """Digest of the module, a file of any name in the guardrail's modules folder."""
    kind: WasmKind = WasmKind.CORE
    stages: Annotated[tuple[WasmStage, ...], Field(min_length=1, max_length=8)] = (
        WasmStage.PRE,
        WasmStage.POST,
    )
    settings: Annotated[dict[str, JsonValue], Field(default={}, max_length=256)]
    """Handed to the module; checked by it when it is loaded."""
    on_error: OnError = OnError.DENY
    """What a trap, a late answer or a malformed one decides."""
    timeout: Duration = 0.05
    """The most one call may take."""
    memory: Annotated[int, Field(ge=1, le=256)] = 16
    """The most memory of one call, MiB."""


class TenantOverride(Model):
    """What differs for some tenants."""

    names: Annotated[
        tuple[Annotated[str, Field(max_length=64)], ...],
        Field(min_length=1, max_length=1000, json_schema_extra=SET),
    ]
    patch: Annotated[dict[str, JsonValue], Field(max_length=32)]
    """A merge patch (RFC 7396) on the spec, in its own words."""


class GuardrailPolicySpec(Model):
    """What both gates do."""

    input: InputDetectors = InputDetectors()
    output: OutputDetectors = OutputDetectors()
    documents: DocumentDetector = DocumentDetector()
    """Retrieved passages that try to instruct the model."""
    tools: DocumentDetector = DocumentDetector()
    """Tool arguments and results that try to instruct the model."""
    wasm: Annotated[tuple[WasmPolicy, ...], Field(max_length=16)] = ()
    """Policies in WebAssembly, in the order they are asked; after the detectors, whose scores they are given."""
    mode: Mode = Mode.ENFORCE
    tenants: Annotated[tuple[TenantOverride, ...], Field(max_length=256)] = ()
    """What differs for some tenants; the first entry that names the caller's tenant counts."""
    budget: Duration = 0.5
    """The most the classifiers of one check may take. What they have not read by then is reported as partial."""
    on_partial: OnError = OnError.ALLOW
    """What it decides where not all of the text was scanned: `allow` flags it."""
    streaming: StreamingMode = StreamingMode.WITHHOLD
    block_message: Annotated[str, Field(max_length=1024)] = ""
    """What the caller reads when a gate blocks; a message that names the reason when empty."""
    max_input_characters: Annotated[int, Field(ge=1, le=4_000_000)] = 200_000
    """Longer input is refused, since it could not be scanned whole."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.output.pii.reversible",
            "output.pii.reversible must be false: only what the input gate redacts can be put back",
            "_redaction_possible",
            "output.pii.reversible",
        ),
        Rule(
            "!self.input.pii.reversible || self.input.pii.action == 'redact'",
            "input.pii.reversible takes `action: redact`",
            "_redaction_possible",
            "input.pii.action",
        ),
        Rule(
            "self.streaming != 'detect' || !(self.input.pii.reversible || self.output.pii.action == 'redact'"
            " || self.output.profanity.action == 'redact')",
            "with `streaming: detect` the answer has left before it is screened, so nothing of it can be redacted or "
            "put back; use `window` or `withhold`",
            "_redaction_possible",
            "streaming",
        ),
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [policy.name for policy in self.wasm]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"wasm: two policies are named {sorted(twice)[0]!r}")
        tenants = [name for override in self.tenants for name in override.names]
        if twice := {name for name in tenants if tenants.count(name) > 1}:
            raise ValueError(f"tenants: {sorted(twice)[0]!r} is named twice")
        return self

    @model_validator(mode="after")
    def _redaction_possible(self) -> Self:
        if self.output.pii.reversible:
            raise ValueError("output.pii.reversible: only what the input gate redacts can be put back")
        reversible = self.input.pii.reversible
        if reversible and self.input.pii.action is not Action.REDACT:
            raise ValueError("input.pii.reversible: takes `action: redact`")
        if self.streaming is StreamingMode.DETECT:
            changes = {
                "input.pii.reversible": reversible,
                "output.pii.action": self.output.pii.action is Action.REDACT,
                "output.profanity.action": self.output.profanity.action is Action.REDACT,
            }
            if wanted := [field for field, changed in changes.items() if changed]:
                raise ValueError(
                    f"{wanted[0]}: with `streaming: detect` the answer has left before it is screened, so nothing of "
                    "it can be changed; use `window` or `withhold`"
                )
        return self

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        for index, override in enumerate(self.tenants):
            if "tenants" in override.patch:
                raise ValueError(f"tenants[{index}].patch: cannot change `tenants`")
            try:
                self._patched(override)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise ValueError(f"tenants[{index}].patch.{where}: {first['msg']}") from None
        return self

    @property
    def may_change_requests(self) -> bool:
        """True where the input gate may replace what a caller wrote: what follows has to wait for it."""
        if self.mode is Mode.SHADOW:
            return False
        redacts = Action.REDACT in (self.input.pii.action, self.input.profanity.action)
        return redacts or any(WasmStage.PRE in policy.stages for policy in self.wasm)

    def for_tenant(self, tenant: str) -> "GuardrailPolicySpec":
        """What applies to a tenant."""
        for override in self.tenants:
            if tenant in override.names:
                return self._patched(override)
        return self

    def _patched(self, override: TenantOverride) -> "GuardrailPolicySpec":
        own = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"tenants"})
        return GuardrailPolicySpec.model_validate_json(json.dumps(merged(own, override.patch)))


class GuardrailPolicy(SluiceObject):
    """Detectors with thresholds and actions for both gates."""

    KIND: ClassVar[str] = "GuardrailPolicy"
    SHORT_NAME: ClassVar[str] = "grp"
    PLURAL: ClassVar[str] = "guardrailpolicies"

    spec: GuardrailPolicySpec = GuardrailPolicySpec()
