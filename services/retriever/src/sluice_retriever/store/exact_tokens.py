"""Tokens that match only their like, as COIL's do (Gao, Dai & Callan 2021), coded so that an engine's MaxSim over bytes
with Euclid compares them.

A row is the token's vector and a binary code of the token's id. The codes of any two ids differ in 24 of 64 places at
least, mostly in 32, so that another token is farther away than the null row which every chunk has, and which is equally
far from every token of a question: that distance stands for no match.
"""

import numpy as np
import numpy.typing as npt

from sluice_retriever.domain.model import TOKEN_DIMENSION, Floats, TokenIds

#: Components of a code.
_CODE = 64
#: Components of a row.
DIMENSION = TOKEN_DIMENSION + _CODE

#: Where a component is zero.
_ZERO = 128
#: Bytes for 1.0; components rarely leave ±0.5, and are clipped there.
_SCALE = 256.0
#: Of the code's components. At an eighth of the scale null is as far from a token as a like one at a right angle is,
#: 256² + 64·32² = 2·256². Another token beats null only where its cosine is above twice the share of places in which
#: the codes differ, 0.75 at 24 of 64, 1 at 32; and then by the difference, a quarter at most.
_AMPLITUDE = 32

#: Generator of the BCH code (63, 16, 23), in Lin & Costello's table; a parity bit extends it to (64, 16, 24).
_GENERATOR = 0o6331141367235453
_ID_BITS = 16
MAX_TOKEN_ID = (1 << _ID_BITS) - 1

_BASIS: npt.NDArray[np.uint8] = np.array(
    [[(_GENERATOR << shift) >> place & 1 for place in range(_CODE - 1)] for shift in range(_ID_BITS)],
    np.uint8,
)

Rows = npt.NDArray[np.uint8]


def encode_chunk(token_ids: TokenIds, tokens: Floats) -> Rows:
    """A chunk's rows: one for each distinct token, the mean of its occurrences; and the null row, the last.

    Args:
        token_ids: `MAX_TOKEN_ID` at most.
        tokens: Shape (tokens, 128), L2-normalised, one row for each id.
    """
    distinct, place = np.unique(token_ids, return_inverse=True)
    sums = np.zeros((len(distinct), TOKEN_DIMENSION), np.float32)
    np.add.at(sums, place, tokens)
    null = np.full((1, DIMENSION), _ZERO, np.uint8)
    return np.concatenate([_rows(distinct, sums), null])


def encode_question(token_ids: TokenIds, tokens: Floats) -> Rows:
    """A question's rows, one for each token; arguments as for a chunk."""
    return _rows(token_ids, tokens)


def score(distance: float, rows: int) -> float:
    """The mean over a question's tokens of the best cosine to the same token, 0 where there is none.

    Args:
        distance: The engine's MaxSim with Euclid: the root of the sum over the question's rows.
        rows: Of the question.
    """
    return 1.0 - distance**2 / (2.0 * rows * _SCALE**2)


def _rows(token_ids: TokenIds, values: Floats) -> Rows:
    units = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    coded = np.clip(np.rint(_ZERO + units * _SCALE), 0, 255)
    code = _ZERO + _AMPLITUDE * (2.0 * _codes(token_ids) - 1.0)
    rows: Rows = np.concatenate([coded, code], axis=1).astype(np.uint8)
    return rows


def _codes(token_ids: TokenIds) -> npt.NDArray[np.uint8]:
    """Shape (ids, 64), of zeros and ones."""
    bits = (token_ids[:, None] >> np.arange(_ID_BITS, dtype=np.uint32)) & 1
    word = bits.astype(np.uint8) @ _BASIS & 1
    parity = word.sum(axis=1, keepdims=True, dtype=np.uint8) & 1
    codes: npt.NDArray[np.uint8] = np.concatenate([word, parity], axis=1)
    return codes
