# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==2.3.0", "pydantic==2.14.3", "anyio==4.16.0"]
# ///
"""Scripted client of revision 2026-07-28 alone: run with `uv run --script` and `--url URL`."""

from __future__ import annotations

from modern_client import main

if __name__ == "__main__":
    main()
