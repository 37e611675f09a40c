"""Batches for the model: texts of like length together, so that little is spent on padding."""

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices in batches whose padded size stays within `max_tokens`; a longer text stands alone."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > max_tokens:  # the newest is the longest
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
