"""Text of others within a prompt: it can neither end what it stands in nor pose as a turn of the conversation. Pure."""

import hashlib
import hmac
import re
from collections.abc import Iterable

#: Names of special tokens of chat templates that have no bar in them. Servers that apply a template to a conversation
#: read special tokens in its texts as such (vLLM does: vllm-project/vllm#31735, huggingface/transformers#29279).
_NAMES = (
    r"s|bos|eos|pad|unk|sep|cls|mask|sop|eop|eod|eoh|eoa|image|think|endoftext|begin_of_text|end_of_text"
    r"|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|end_of_utterance"
    r"|beginning_of_sentence|end_of_sentence|tool_calls?|tool_response|arg_key|arg_value"
    r"|(?:extra_id|reserved|special|tokens_unused)_\d+|unused\d+|(?:seed|minimax):\w{1,40}"
)
_BRACKETED = (
    "INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|CALL_ID|THINK|MODEL_SETTINGS"
    "|[gs]?MASK|BOS|EOS|EOT|CLS|SEP|UNK|PAD"
)
_SPECIAL = re.compile(
    r"<(?=[|｜][^\s<>|｜]{1,80}[|｜]?>)"  # <|im_start|>, <｜User｜>, <|turn>
    r"|<(?=[^\s<>|｜]{1,80}[|｜]>)"  # <turn|>
    rf"|<(?=/?(?:{_NAMES})>)"
    r"|<(?=</?SYS>>)"
    rf"|\[(?=/?(?:{_BRACKETED})\])"
    r"|\[(?=\|[^\s|\]]{1,80}\|\])",  # [|user|]
    re.I,
)

#: What looks alike and is in no tokenizer's list, whichever form of Unicode it normalises to.
_ALIKE = {"<": "‹", "[": "⟦"}


def plain(text: str, tokens: Iterable[str] = ()) -> str:
    """The text without special tokens of models: each has another first character.

    Args:
        tokens: Of the model that reads it, where they are known.
    """
    text = _SPECIAL.sub(lambda match: _ALIKE[match[0]], text)
    for token in tokens:
        if token in text:
            text = text.replace(token, _ALIKE.get(token[0], "·") + token[1:])
    return text


def contained(text: str, *tags: str) -> str:
    """Text that can neither open nor close a tag of these names, or of names that begin with them."""
    return re.sub(rf"<(\s*/?\s*(?:{'|'.join(map(re.escape, tags))}))", r"‹\1", text, flags=re.I)


def attribute(text: str, tag: str, tokens: Iterable[str] = ()) -> str:
    """Text as the value of an attribute of such a tag: one line, without quotes, 200 characters at most."""
    line = " ".join(text.split())
    line = line if len(line) <= 200 else line[:199] + "…"
    return plain(contained(line, tag), tokens).replace('"', "'")


def nonce(key: bytes, texts: Iterable[str]) -> str:
    """What no text can hold before it is known that it stands in a prompt: the same for the same texts, so that a
    server finds them in its prefix cache, and another one as soon as one of them changes."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for text in texts:
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]
