"""An identity provider for tests: keys of its own, tokens, and an HTTP server that publishes the keys on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_WRITERS = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class SigningKey:
    """A key pair."""

    def __init__(self, kid: str, algorithm: str = "ES256") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: PrivateKeyTypes = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[algorithm]()

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public half."""
        public = json.loads(_WRITERS[self.algorithm].to_jwk(self.private.public_key()))
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        """A token that it signs."""
        headers = {"kid": self.kid, **header}
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers=headers)


class Issuer:
    """Publishes `keys`; `status` other than 200 makes it answer with that and nothing else."""

    def __init__(self) -> None:
        self.keys = [SigningKey("first")]
        self.status = 200
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = issuer.answer(self.path)
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode() if issuer.status == 200 else b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> dict[str, Any]:
        """What it publishes."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.asked += 1
        return {"keys": [key.jwk for key in self.keys]}

    def claims(self, **more: Any) -> dict[str, Any]:
        """Those of a token that is valid."""
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": "sluice",
            "sub": "u-1",
            "tenant": "acme",
            "exp": now + 600,
            "nbf": now - 1,
            **more,
        }

    def token(self, **more: Any) -> str:
        """A token signed with its newest key."""
        return self.keys[-1].token(self.claims(**more))

    def entry(self, **more: Any) -> dict[str, Any]:
        """How the keys file names it."""
        return {"id": "corp", "issuer": self.url, "audience": ["sluice"], **more}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer for the length of the block."""
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()
        thread.join()
