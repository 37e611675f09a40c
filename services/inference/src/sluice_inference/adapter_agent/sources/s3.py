"""Objects in S3 and in stores that speak its protocol: presigned URLs, asked for like any other.

`obstore` signs them, which needs no network. Its own client is not used: it would resolve and connect by itself, past
the check of addresses.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from sluice_api.objects.lora_adapter import S3Source
from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sink import Sink
from sluice_inference.adapter_agent.sources import credentials, remote
from sluice_inference.adapter_agent.sources.credentials import AwsKeys
from sluice_inference.adapter_agent.sources.remote import Remote
from sluice_inference.adapter_agent.sources.taking import check_both, take_archive

if TYPE_CHECKING:
    from obstore.store import S3Credential

_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar", ".zip")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: What S3 says of an error in its XML.
_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
_VALID: Final = timedelta(hours=1)


async def fetch(
    source: S3Source, remote_: Remote, credentials_file: Path | None, region: str, sink: Sink
) -> str:
    """Reads an adapter out of an archive, or takes the two files below a prefix.

    Returns:
        `s3://bucket/key`, and the archive's digest or the object's ETag.

    Raises:
        ServiceError: there is none to be had.
    """
    sign = _signer(source, credentials.of_aws(credentials_file), region)
    name = f"s3://{source.bucket}/{source.key}"
    if source.key.lower().endswith(_ARCHIVES):
        async with remote_.answer(sign(source.key)) as response:
            await _check(response, name, region)
            found, origin = await take_archive(response, sink)
        check_both(found, name)
        return f"{name}@{origin}"
    etag = ""
    for file in files.BOTH:
        async with remote_.answer(sign(f"{source.key.strip('/')}/{file}")) as response:
            await _check(response, f"{name.rstrip('/')}/{file}", region)
            async with sink.file(file) as writer:
                await remote.pour(response, sink, writer)
            etag = response.headers.get("etag", "").strip('"')
    return f"{name}@{etag}" if etag else name


def _signer(source: S3Source, keys: AwsKeys | None, region: str) -> Callable[[str], str]:
    """Gives the URL of a key; signed where there is something to sign with."""
    endpoint = (source.endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
    if not _BUCKET.fullmatch(source.bucket) or not endpoint.startswith(("http://", "https://")):
        raise failure(Reason.SOURCE_INVALID, "the source's bucket or endpoint is none")
    if keys is None:
        return lambda key: f"{endpoint}/{source.bucket}/{quote(key)}"

    def credential() -> "S3Credential":
        return {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            "token": keys.session_token or None,
            "expires_at": None,
        }

    try:
        store = S3Store(
            source.bucket,
            endpoint=endpoint,
            region=region,
            credential_provider=credential,  # as keys alone, they would be mixed with those of the environment
            skip_signature=False,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
    except BaseError as error:
        raise failure(Reason.SOURCE_INVALID, f"the source is no object: {type(error).__name__}") from None

    def signed(key: str) -> str:
        try:
            return obstore.sign(store, "GET", key, _VALID)
        except (BaseError, ValueError, TypeError) as error:
            raise failure(Reason.SOURCE_INVALID, f"{key!r} is no key: {type(error).__name__}") from None

    return signed


async def _check(response: aiohttp.ClientResponse, what: str, region: str) -> None:
    if response.status == 200:
        return
    code = _CODE.search(await remote.body(response))
    said = code[1].decode() if code else ""
    other = response.headers.get("x-amz-bucket-region", region)
    if other != region:
        raise failure(Reason.SOURCE_REFUSED, f"{what} lies in the region {other}; set SLUICE_S3_REGION")
    remote.check(response, what, said)
