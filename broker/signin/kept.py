"""Servers as they are reached where nobody is asked to sign in: with what somebody signed in to get before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from broker.settings_backend import Backend, SignIn

if TYPE_CHECKING:
    from broker.settings import Settings
    from broker.signin.options import SignInOptions


class Kept(SignIn):
    """Signing in, by what is kept alone."""

    def options(self) -> SignInOptions:
        """The same, asking nobody."""
        return msgspec.structs.replace(super().options(), asks=False)


def with_grants(settings: Settings) -> Settings:
    """These settings, with what is kept for every server at a URL that no other credential is configured for."""
    return settings.model_copy(update={"servers": {name: _kept(each) for name, each in settings.servers.items()}})


def _kept(backend: Backend) -> Backend:
    if not backend.url or backend.token is not None:
        return backend
    if any(name.lower() == "authorization" for name in backend.request_headers()):
        return backend
    said = dict(backend.sign_in) if isinstance(backend.sign_in, SignIn) else {}
    return backend.model_copy(update={"sign_in": Kept.model_construct(**said)})
