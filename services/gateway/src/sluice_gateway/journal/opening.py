"""A writer's first row: it names every chain known then, so that none of them can vanish unseen. Pure."""

import json
import time
from collections.abc import Mapping

from sluice_gateway.domain.run import Event
from sluice_gateway.journal.chain import WRITER_OPENED, Head
from sluice_gateway.journal.stubs import Stub


def opening(heads: Mapping[str, Head], stubs: Mapping[str, Stub]) -> Event:
    """The event.

    Args:
        heads: Of all chains known.
        stubs: Where chains were cut; of those that are wholly cut nothing can vanish.
    """
    named = {
        writer: [head.seq, head.hash]
        for writer, head in heads.items()
        if writer not in stubs or stubs[writer].head.seq < head.seq
    }
    return Event(
        run_id="",
        tenant="",
        kind=WRITER_OPENED,  # type: ignore[arg-type]  # a row of the chain, of no run
        at=time.time(),
        detail=json.dumps({"heads": named}, sort_keys=True, separators=(",", ":")),
    )
