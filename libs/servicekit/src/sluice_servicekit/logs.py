"""Logging set up once: one JSON object a line, with the run, tenant and key that the work belongs to."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from sluice_servicekit import context


class _RunContext(logging.Filter):
    """Adds run, tenant and the key's name to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.run = context.run_id.get()
        record.tenant = context.tenant.get()
        record.key = context.key.get()
        return True


def set_up(service: str, level: str, fmt: str) -> None:
    """Sends all logs to standard error as JSON or as text for people."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RunContext())
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}{run}{tenant}{key}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
        )
        if fmt == "json"
        else logging.Formatter(f"%(asctime)s %(levelname)-7s {service} %(name)s: %(message)s %(run)s")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
