"""An API server in memory: what the operator's port promises, with failures, drift and bad watch streams on demand."""

from support.fake_cluster.cluster import FakeCluster
from support.fake_cluster.store import OTHERS, Event, Key
from support.fake_cluster.streams import Streams

__all__ = ["OTHERS", "Event", "FakeCluster", "Key", "Streams"]
