"""The pod template. Pure."""

import math
from typing import Any, Final

from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.vllm import Vllm
from sluice_operator.kinds.model_server import agent_container, engine_container, layout, names, pod_patch
from sluice_operator.kinds.model_server.context import Settings
from sluice_operator.kinds.model_server.relied_on import lost
from sluice_operator.kinds.model_server.volumes import volumes
from sluice_operator.reconciling.labels import of_child
from sluice_servicekit.errors import InvalidArgument

Part = dict[str, Any]

#: Seconds that vLLM has to end, after it has been drained.
_ENDING: Final = 30


def template(server: ModelServer, uid: str, vllm: Vllm, settings: Settings, digest: str) -> Part:
    """With `podTemplate`.

    Raises:
        InvalidArgument: `podTemplate` takes away what Sluice relies on; the message says what.
    """
    own = _own(server, uid, vllm, settings, digest)
    patch = vllm.pod_template.model_dump(mode="json", by_alias=True)
    patched: Part = pod_patch.merged(own, patch)
    if found := list(lost(own, patched)):
        raise InvalidArgument("; ".join(found))
    return patched


def _own(server: ModelServer, uid: str, vllm: Vllm, settings: Settings, digest: str) -> Part:
    spec = server.spec
    containers = [engine_container.container(spec, vllm)]
    if vllm.lora is not None:
        containers.append(agent_container.container(spec, vllm, settings.agent_image))
    labels = {
        **of_child(server, uid),
        "app.kubernetes.io/component": "model-server",
        **layout.selector(server.metadata.name, uid),
    }
    pod: Part = {
        "containers": containers,
        "volumes": volumes(vllm, names.agent_secret(server.metadata.name)),
        "restartPolicy": "Always",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": layout.USER,
            "runAsGroup": layout.USER,
            "fsGroup": layout.USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": math.ceil(vllm.drain) + _ENDING,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": layout.selector(server.metadata.name, uid)},
            }
        ],
    }
    if vllm.service_account_name:
        pod["serviceAccountName"] = vllm.service_account_name
    if vllm.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in vllm.image_pull_secrets]
    metadata: Part = {"labels": labels}
    if digest:
        metadata["annotations"] = {layout.SECRETS_DIGEST: digest}
    return {"metadata": metadata, "spec": pod}
