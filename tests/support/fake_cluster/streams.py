"""Watch streams as they are on a bad day: late, doubled, out of order, lost, and in the end listed anew."""

from collections.abc import Callable

from support.fake_cluster.cluster import FakeCluster
from support.fake_cluster.store import Event


class Streams:
    """Holds a cluster's events back until they are asked for.

    Args:
        cluster: Whose events are held back from now on.
        deliver: Who gets them; the cluster's mirror when not given.
    """

    def __init__(self, cluster: FakeCluster, deliver: Callable[[Event], None] | None = None) -> None:
        self._cluster = cluster
        self.deliver = deliver or cluster.tell_mirror
        self.held: list[Event] = []
        cluster.on_event = self.held.append

    def flow(self, count: int | None = None) -> None:
        """Delivers the oldest events, or all."""
        for _ in range(len(self.held) if count is None else min(count, len(self.held))):
            self.deliver(self.held.pop(0))

    def lose(self, index: int = 0) -> None:
        """An event never comes."""
        if self.held:
            self.held.pop(index % len(self.held))

    def double(self, index: int = 0) -> None:
        """An event comes twice: now, and in its turn."""
        if self.held:
            self.deliver(self.held[index % len(self.held)])

    def overtake(self, index: int = 0) -> None:
        """An event comes before those in front of it."""
        if self.held:
            self.deliver(self.held.pop(index % len(self.held)))

    def resync(self) -> None:
        """What a new list brings: every object as it stands, and the end of those that are gone."""
        self.held.clear()
        for event in self._cluster.listed():
            self.deliver(event)
