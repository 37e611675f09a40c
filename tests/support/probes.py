"""What processes serve over plain HTTP."""

import asyncio
from urllib.error import HTTPError, URLError
from urllib.request import urlopen


async def fetch(address: str, path: str) -> tuple[int, str]:
    """Status and text; 0 where nobody answers.

    Args:
        address: `host:port`.
    """

    def get() -> tuple[int, str]:
        try:
            with urlopen(f"http://{address}{path}", timeout=10) as reply:
                return int(reply.status), reply.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    return await asyncio.to_thread(get)
