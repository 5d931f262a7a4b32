"""Icons and the extra members of Implementation: shown to people, never acted on.

Follows changelog major 2 and minor 2; schema Icon, Icons, Implementation.
"""

from __future__ import annotations

from translators.change import Change, params, result
from translators.ops import Loss, drop

LOG = "2025-11-25/changelog.mdx"

ICONS = Change(
    name="icons",
    spec=f"{LOG} major 2",
    rows=("C1",),
    down={
        result("tools/list"): (drop("tools[].icons", Loss.COSMETIC),),
        result("resources/list"): (drop("resources[].icons", Loss.COSMETIC),),
        result("resources/templates/list"): (drop("resourceTemplates[].icons", Loss.COSMETIC),),
        result("prompts/list"): (drop("prompts[].icons", Loss.COSMETIC),),
        result("tools/call"): (drop("content[].icons", Loss.COSMETIC),),
        result("prompts/get"): (drop("messages[].content.icons", Loss.COSMETIC),),
        result("initialize"): (drop("serverInfo.icons", Loss.COSMETIC),),
        params("initialize"): (drop("clientInfo.icons", Loss.COSMETIC),),
    },
)

IMPLEMENTATION = Change(
    name="implementation description",
    spec=f"{LOG} minor 2",
    rows=("C2",),
    down={
        result("initialize"): (
            drop("serverInfo.description", Loss.COSMETIC),
            drop("serverInfo.websiteUrl", Loss.COSMETIC),
        ),
        params("initialize"): (
            drop("clientInfo.description", Loss.COSMETIC),
            drop("clientInfo.websiteUrl", Loss.COSMETIC),
        ),
    },
)
