"""Logging in: refresh token, JWT bearer and client credentials, with the vendor's refusals."""

import base64
import secrets
import time
from functools import cached_property
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.salesforce.exchange import Answer, Request, answer_json

ORGANIZATION, USER = "00DHs0000000001MAA", "005Hs0000000001IAA"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Credentials:
    """What a client logs in with."""

    def __init__(self, client_id: str, client_secret: str, refresh_token: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.refresh_token = refresh_token
        self.username = "integration@company.example"

    @classmethod
    def new(cls) -> "Credentials":
        return cls(
            f"3MVG9{secrets.token_hex(20)}", secrets.token_hex(32), f"5Aep861{secrets.token_urlsafe(48)}"
        )

    def kept(self) -> dict[str, str]:
        """What makes the same credentials again."""
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
        }

    @cached_property
    def private_key(self) -> str:
        """The key whose certificate the connected app was given, for JWT bearer."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @cached_property
    def public_key(self) -> str:
        key = serialization.load_pem_private_key(self.private_key.encode(), None).public_key()
        return key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()


class LoginError(Exception):
    """The OAuth endpoint's own kind of error."""


class Login:
    """The token endpoint, and the tokens that are good now."""

    def __init__(self, credentials: Credentials, url: str) -> None:
        self.credentials = credentials
        self.url = url
        self.tokens: set[str] = set()

    def knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme in ("Bearer", "OAuth") and token in self.tokens

    def expire_all(self) -> None:
        self.tokens.clear()

    def answer(self, request: Request) -> Answer:
        form = dict(parse_qsl(request.body.decode(errors="replace"))) | self._basic(request)
        try:
            self._check(form)
        except LoginError as refused:
            error, description = refused.args
            return answer_json({"error": error, "error_description": description}, 400)
        return answer_json(self._session())

    def _session(self) -> dict[str, str]:
        token = f"{ORGANIZATION[:15]}!AQ{secrets.token_urlsafe(60)}"
        self.tokens.add(token)
        return {
            "access_token": token,
            "signature": base64.b64encode(secrets.token_bytes(32)).decode(),
            "scope": "refresh_token api",
            "instance_url": self.url,
            "id": f"{self.url}/id/{ORGANIZATION}/{USER}",
            "token_type": "Bearer",
            "issued_at": str(time.time_ns() // 1_000_000),
        }

    @staticmethod
    def _basic(request: Request) -> dict[str, str]:
        """Client id and secret may come in the Authorization header instead."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return {}
        client_id, _, secret = base64.b64decode(encoded).decode(errors="replace").partition(":")
        return {"client_id": client_id, "client_secret": secret}

    def _check(self, form: dict[str, str]) -> None:
        match form.get("grant_type"):
            case "refresh_token":
                self._check_client(form)
                if form.get("refresh_token") != self.credentials.refresh_token:
                    raise LoginError("invalid_grant", "expired access/refresh token")
            case "client_credentials":
                self._check_client(form)
            case grant if grant == JWT_BEARER:
                self._check_assertion(form.get("assertion", ""))
            case _:
                raise LoginError("unsupported_grant_type", "grant type not supported")

    def _check_client(self, form: dict[str, str]) -> None:
        if form.get("client_id") != self.credentials.client_id:
            raise LoginError("invalid_client_id", "client identifier invalid")
        if form.get("client_secret") != self.credentials.client_secret:
            raise LoginError("invalid_client", "invalid client credentials")

    def _check_assertion(self, assertion: str) -> None:
        audience = ["https://login.salesforce.com", "https://test.salesforce.com", self.url]
        try:
            claims = jwt.decode(
                assertion, self.credentials.public_key, algorithms=["RS256"], audience=audience
            )
        except jwt.InvalidAudienceError:
            raise LoginError("invalid_grant", "audience is invalid") from None
        except jwt.ExpiredSignatureError:
            raise LoginError("invalid_grant", "expired authorization code") from None
        except jwt.InvalidTokenError:
            raise LoginError("invalid_grant", "invalid assertion") from None
        if claims.get("iss") != self.credentials.client_id:
            raise LoginError("invalid_client_id", "client identifier invalid")
        if claims.get("sub") != self.credentials.username:
            raise LoginError("invalid_grant", "user hasn't approved this consumer")
