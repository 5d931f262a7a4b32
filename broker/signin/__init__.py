"""Signing in for a person at a protected server of any revision: OAuth 2.1 authorization code with PKCE.

Follows basic/authorization of 2025-03-26 to 2026-07-28 (RFC 6749, 6750, 7591, 7636, 8252, 8414, 8707, 9207, 9728).
`credentials` is what a pool is given (`broker.backends.credentialed`); everything else is loaded when a server refuses
a request, or when somebody signed in before. Invariants: a token goes to the server it was issued for and to nobody
else; a refresh token and a client secret go to the issuer they came from and to nobody else; nothing secret reaches a
log, an error, a command line or a client.

    places       how a server is named, and where its grant is kept
    store        the grants of this person on disk, and the lock that keeps processes apart
    challenge    what a refusal says
    addresses    which addresses may be asked, and how a server is named
    fetch        the one HTTP client of this package
    discovery    from a refusal to the endpoints of the server's issuer
    registration which client the broker is there
    loopback     where the browser comes back to
    tokens       the token endpoint
    flow         all of it in order
"""
