"""A double of the adapter agent and the vLLM beside it, in memory: no file, no model.

`AgentDouble` is one agent on a port, `Catalogue` what lies at the sources, `Faults` what goes wrong. Its replies and
reasons are held against the real agent's (`tests/contract/test_contract_agent_double.py`). As with the real one, an
engine that restarts has nothing loaded while the files are still there, and one who leaves a `Resolve` stops nothing.
"""

from doubles.agent.catalogue import Catalogue, Files, place
from doubles.agent.engine import Engine
from doubles.agent.server import AgentDouble
from doubles.agent.state import Faults, Settings

__all__ = ["AgentDouble", "Catalogue", "Engine", "Faults", "Files", "Settings", "place"]
