"""A random walk over stateless clients, the broker's core, and a session server, with every MUST checked on the way.

StatelessClient (2026-07-28 to 2025-11-25) and Conversation (2025-11-25 to the server's revision) stand together as in
the running broker, on the same rules as the other walk: `world` carries the messages between them, `clients` and
`server` keep the books the peers would keep and judge what reaches them, `moves` and `script` are what clients, time
and the server may do. Every now and then the machine's state is written and read again between two events.
"""
