"""The routes of all virtual servers as one resource of the application, whose own list is fixed once it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web
from yarl import URL


class Table(web.AbstractResource):
    """The routes of all servers as one resource of the application, whose own list is fixed once it runs."""

    def __init__(self) -> None:
        super().__init__()
        self._resources: dict[str, web.AbstractResource] = {}

    def swap(self, resources: dict[str, web.AbstractResource]) -> None:
        """Serve these paths from now on."""
        self._resources = resources

    @property
    def canonical(self) -> str:
        """Where the application begins to look."""
        return "/"

    async def resolve(self, request: web.Request) -> Any:
        """The route of a path, or the methods it has."""
        resource = self._resources.get(request.rel_url.path_safe)
        return (None, set()) if resource is None else await resource.resolve(request)

    def raw_match(self, path: str) -> bool:
        """True for a path that is served."""
        return path in self._resources

    def url_for(self, **_parts: str) -> URL:
        """Nothing asks for the address of all servers."""
        return URL("/")

    def add_prefix(self, prefix: str) -> None:
        """The paths of servers are whole."""
        raise NotImplementedError(prefix)

    def get_info(self) -> Any:
        """For aiohttp's listings."""
        return {"path": "/"}

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return (route for resource in self._resources.values() for route in resource)
