"""What an operator says about signing in at one server. Loads nothing that a start on a pipe would notice."""

from __future__ import annotations

import msgspec


class SignInOptions(msgspec.Struct, frozen=True):
    """`client_id`: of a client that was registered beforehand, or the https URL of a client's metadata document.

    `issuer`: the only one that is used, at whatever address; `scopes`: asked for instead of what the server names;
    `redirect_port`: where the browser comes back to on 127.0.0.1, 0 for any. A secret needs the issuer it is for.
    Unless it `asks`, only what somebody signed in to get before is used, and renewed.
    """

    client_id: str = ""
    client_secret: str = ""
    issuer: str = ""
    scopes: tuple[str, ...] = ()
    redirect_port: int = 0
    asks: bool = True

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<SignInOptions {self.issuer}>"

    @property
    def is_document(self) -> bool:
        """True if the client id is the address of a document."""
        return self.client_id.startswith("https://")


def problem(options: SignInOptions) -> str | None:
    """Why these options cannot be used, None if they can."""
    from broker.backends.http1_head import parse_url

    if options.client_secret and not (options.client_id and options.issuer):
        return "a client secret needs the client id and the issuer it is for"
    if options.client_secret and options.is_document:
        return "a client with a metadata document has no secret"
    if not options.client_id.isascii() or not options.client_id.replace(" ", "x").isprintable():
        return "a client id is visible ASCII"
    if not 0 <= options.redirect_port <= 65535:
        return "the redirect port is out of range"
    if options.issuer:
        try:
            parse_url(options.issuer)
        except ValueError:
            return "the issuer is no plain http or https URL"
    if options.is_document:
        try:
            if parse_url(options.client_id).target.partition("?")[0] == "/":
                return "the address of a client's metadata document has a path"
        except ValueError:
            return "the client id is no plain https URL"
    return None
