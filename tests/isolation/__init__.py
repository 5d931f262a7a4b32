"""Many callers on one session server through one broker, and a checked history of who was told what.

`python -m tests.isolation` runs the full size: 200 callers with 10 calls each at once, equal JSON-RPC ids, questions on
the calls' own streams and on standing ones, clients that leave and come back; then the same with a server that is
killed and started again ten times. The suite runs a small size of both.
"""
