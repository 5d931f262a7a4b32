"""2025-06-18 <-> 2025-11-25, one Change per wire-visible bullet of the 2025-11-25 changelog.

`decoration.py` what is only shown; `dialect.py` JSON Schema 2020-12; `sampling.py` tools and several blocks;
`elicitation.py` modes and URLs, `choices.py` the shapes of form fields; `tasks.py` what only exists between two
2025-11-25 peers. Stream polling and priming (minor 6, 7) are transport and belong to the edge.
Invariant: a question that an older client would answer wrongly is refused toward the server, never reshaped silently.
"""

from __future__ import annotations

from protocol_versions import v2025_06_18, v2025_11_25
from translators.change import Step
from translators.v2025_06_18__v2025_11_25.choices import DEFAULTS, ENUMS, FORM_SCHEMA
from translators.v2025_06_18__v2025_11_25.decoration import ICONS, IMPLEMENTATION
from translators.v2025_06_18__v2025_11_25.dialect import DIALECT
from translators.v2025_06_18__v2025_11_25.elicitation import MODES, URL_REQUIRED
from translators.v2025_06_18__v2025_11_25.sampling import CONTENT_LISTS, INCLUDE_CONTEXT, SAMPLING_TOOLS
from translators.v2025_06_18__v2025_11_25.tasks import CANCELLED_TASK, TASKS

STEP = Step(
    older=v2025_06_18.REVISION,
    newer=v2025_11_25.REVISION,
    changes=(
        ICONS,
        IMPLEMENTATION,
        ENUMS,
        DEFAULTS,
        FORM_SCHEMA,
        MODES,
        URL_REQUIRED,
        SAMPLING_TOOLS,
        CONTENT_LISTS,
        INCLUDE_CONTEXT,
        TASKS,
        CANCELLED_TASK,
        DIALECT,
    ),
)
