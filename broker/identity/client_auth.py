"""How the broker shows an issuer who it is: a client id and its secret, in one of two ways (RFC 6749 section 2.3.1)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from pydantic import SecretStr


class OwnClient(Protocol):
    """The broker as a client of an issuer, as a section of the configuration says it."""

    @property
    def client_id(self) -> str: ...
    @property
    def client_secret(self) -> SecretStr: ...
    @property
    def auth_method(self) -> str: ...


def shown(client: OwnClient, form: dict[str, str]) -> dict[str, str]:
    """The headers that say it, or none where it is added to the form."""
    secret = client.client_secret.get_secret_value()
    if client.auth_method == "client_secret_basic":  # both are encoded as in a form first
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}".encode("ascii")
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    form |= {"client_id": client.client_id, "client_secret": secret}
    return {}
