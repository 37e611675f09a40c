"""Makes what the tests serve: a tiny Llama of random weights, the same in every run of the same libraries.

Runs in vLLM's environment: `python make_model.py FOLDER` writes `FOLDER/tiny`.
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HIDDEN = 128
LAYERS = 2
VOCABULARY = 512
#: Words of up to five letters: with the blank before it a token then has up to six, as the recorded server's.
TEXT = (
    "The quick brown fox jumps over the lazy dog. A press is oiled after each shift of work, a kiln is fired and then "
    "left to cool, and a loom is kept clean. What is said here is only read by a model that has no idea of it."
)
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 512 tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    bpe.train_from_iterator([TEXT], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )


def model() -> LlamaForCausalLM:
    """Random weights: it writes nonsense, always the same."""
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=256,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            bos_token_id=0,
            eos_token_id=1,
        )
    )


def main(folder: Path) -> None:
    """Writes all of it."""
    model().save_pretrained(folder / "tiny")
    tokenizer().save_pretrained(folder / "tiny")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
