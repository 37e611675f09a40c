"""`sluice crds`: what a cluster has to know of the seven kinds."""

import sys


def crds() -> None:
    """Print the custom resource definitions of this release, for kubectl.

    sluice crds | kubectl apply --server-side -f -
    """
    from sluice_api.crds.texts import texts  # the models of all kinds: half a second that other commands save

    sys.stdout.write("---\n".join(texts().values()))
