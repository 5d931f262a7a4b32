"""`python -m broker` is the command `dragoman`."""

from __future__ import annotations

from broker.entry import main

main()
