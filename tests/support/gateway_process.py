"""The gateway as a process of its own, of any version of the runs' definition: `gateway_process.py VERSION`."""

import sys
from functools import partial

from sluice_gateway.service import build
from sluice_gateway.settings import GatewaySettings
from sluice_servicekit.service import run_service

if __name__ == "__main__":
    run_service("gateway", GatewaySettings, lambda: partial(build, version=sys.argv[1]))
