# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==2.3.0", "pydantic==2.14.3", "anyio==4.16.0", "starlette==1.10.0", "uvicorn==0.54.0"]
# ///
"""Protected server of the release for revision 2026-07-28: run with `uv run --script` and `--port N`."""

from __future__ import annotations

from protected import main

if __name__ == "__main__":
    main()
