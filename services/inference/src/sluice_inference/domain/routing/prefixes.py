"""The beginnings of prompts: which blocks of text a replica has read, so that its KV cache may still hold them. Pure.

As the prefix scorer of the Gateway API inference extension, a prompt is cut into blocks, each hashed with all before
it. A guess: the server's own blocks are of tokens, and what it has thrown out is not known here.
"""

from collections.abc import Container, Iterable

#: Characters of a block: 64 tokens, about.
BLOCK = 256

#: Blocks that are looked at: a longer prompt is told by its beginning.
_MOST = 64


def blocks(scope: Iterable[str], texts: Iterable[str]) -> tuple[int, ...]:
    """Hashes of a prompt's whole blocks, each of all up to its end; they hold within this process only.

    Args:
        scope: What else must be the same: the adapter, whose weights make other keys and values, and the tenant.
        texts: The prompt's parts in their order.
    """
    text = "\0".join(texts)
    end = min(len(text) // BLOCK, _MOST) * BLOCK
    before = hash(tuple(scope))
    hashes = []
    for start in range(0, end, BLOCK):
        before = hash((before, text[start : start + BLOCK]))
        hashes.append(before)
    return tuple(hashes)


def share(asked: tuple[int, ...], read: Container[object]) -> float:
    """The part of the blocks, from the first on, that were read before."""
    matched = 0
    for block in asked:
        if block not in read:
            break
        matched += 1
    return matched / len(asked) if asked else 0.0
