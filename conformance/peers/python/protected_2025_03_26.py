# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==1.9.4", "pydantic==2.13.5", "anyio==4.16.0", "uvicorn==0.54.0"]
# ///
"""Protected server of the release for revision 2025-03-26: run with `uv run --script` and `--port N`."""

from __future__ import annotations

from protected import main

if __name__ == "__main__":
    main()
