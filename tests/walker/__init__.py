"""A random walk over a session client, the broker's core, and a stateless server, with every MUST checked on the way.

Conversation (client's revision to 2025-11-25) and SessionClient (2025-11-25 to 2026-07-28) stand together as in the
running broker; `world` carries the messages between them, `client` and `server` keep the books both peers would keep
and judge what reaches them, `moves` is what peers and time may do. The same moves are driven by hypothesis in
`tests/translators/test_session_client_stateful.py`, and by numbers alone in `python -m tests.walker`.
"""
