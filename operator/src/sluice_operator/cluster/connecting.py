"""Logs in to the API server: the pod's service account, or a kubeconfig."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.request import getproxies

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from sluice_servicekit import errors

_LOG = logging.getLogger(__name__)

USER_AGENT = f"sluice-operator/{version('sluice-operator')}"
"""How the API server's audit log knows the operator."""


@asynccontextmanager
async def connect(kubeconfig: str = "", context: str = "") -> AsyncIterator[ApiClient]:
    """A client for the length of the block, which renews its token by itself.

    Args:
        kubeconfig: A file; when empty the service account of the pod that this is, else kubectl's own.
        context: The kubeconfig's context; its current one when empty.

    Raises:
        FailedPrecondition: there is neither, or what there is cannot be read.
    """
    configuration = Configuration()
    # With this, aiohttp asks a thread for .netrc and for the proxy before each call.
    configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
    configuration.connection_pool_maxsize = 0  # a stream for each watch; calls are bounded by who makes them
    try:
        if not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                kubeconfig or None, context or None, client_configuration=configuration
            )
    except (config.ConfigException, OSError, ValueError) as error:
        raise errors.FailedPrecondition(
            f"there is no way to log in to an API server: {error}; name a kubeconfig by SLUICE_KUBECONFIG, "
            "or give the pod a service account"
        ) from error
    _LOG.info("the API server is %s", configuration.host)
    async with ApiClient(configuration) as client:
        client.user_agent = USER_AGENT
        yield client
