"""A session server whose output schema is no object: listed wrapped, and answered wrapped, so that clients agree."""

from __future__ import annotations

from tests.broker.scripted_backend import Asked, world


async def test_a_tool_with_another_output_schema_is_wrapped_in_its_list_and_in_its_results() -> None:
    tool = {"name": "numbers", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}}

    async def listing(asked: Asked) -> None:
        await asked.result({"tools": [tool]})

    async def numbers(asked: Asked) -> None:
        await asked.result({"content": [{"type": "text", "text": "[1]"}], "structuredContent": [1]})

    async with world() as here:
        await here.client.open("2025-11-25")
        here.backend.on("tools/list", listing)
        here.backend.on("tools/call", numbers)
        listed = (await here.client.call(1, "tools/list")).json["result"]["tools"][0]
        assert listed["outputSchema"]["type"] == "object"
        assert "result" in listed["outputSchema"]["properties"]
        answer = (await here.client.call(2, "tools/call", name="numbers")).json["result"]
        assert answer["structuredContent"] == {"result": [1]}
