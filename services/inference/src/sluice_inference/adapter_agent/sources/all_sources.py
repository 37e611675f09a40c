"""Which module fetches which kind of source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice_api.objects.lora_adapter import Source
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import http, hugging_face, local, oci, s3
from sluice_inference.adapter_agent.sources.remote import Remote


@dataclass(frozen=True, slots=True)
class Sources:
    """All kinds, as one machine can reach them."""

    remote: Remote
    local_roots: Sequence[Path] = ()
    pvc_root: Path | None = None
    hub_url: str = "https://huggingface.co"
    hub_token_file: Path | None = None
    http_credentials_file: Path | None = None
    s3_credentials_file: Path | None = None
    s3_region: str = "us-east-1"
    registry_credentials_file: Path | None = None
    insecure_registries: tuple[str, ...] = ()

    async def fetch(self, source: Source, sink: Sink) -> str:
        """Puts an adapter's two files into a sink.

        Returns:
            What exactly they were: a commit or a digest where the source has one.

        Raises:
            ServiceError: there are none to be had, and why.
        """
        if source.hugging_face:
            return await hugging_face.fetch(
                source.hugging_face, self.remote, self.hub_url.rstrip("/"), self.hub_token_file, sink
            )
        if source.s3:
            return await s3.fetch(source.s3, self.remote, self.s3_credentials_file, self.s3_region, sink)
        if source.http:
            return await http.fetch(source.http.url, self.remote, self.http_credentials_file, sink)
        if source.oci:
            return await oci.fetch(
                source.oci.image, self.remote, self.registry_credentials_file, self.insecure_registries, sink
            )
        if source.pvc:
            return await self._volume(source.pvc.claim_name, source.pvc.path, sink)
        if source.local:
            return await local.copy(Path(source.local.path), self.local_roots, sink)
        raise failure(Reason.SOURCE_INVALID, "the source is none")

    async def _volume(self, claim: str, path: str, sink: Sink) -> str:
        if self.pvc_root is None:
            raise failure(
                Reason.SOURCE_PATH_REFUSED,
                "no volumes are mounted here: SLUICE_PVC_ROOT names where they are",
            )
        volume = self.pvc_root / claim
        return await local.copy(volume / path.lstrip("/"), [volume], sink)
