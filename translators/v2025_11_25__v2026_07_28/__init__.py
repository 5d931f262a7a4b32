"""2025-11-25 <-> 2026-07-28, one Change per wire-visible bullet of the 2026-07-28 changelog.

The newer revision has no sessions: what a handshake settled is said with every request, what a server asked stands in
the result of the call it asks for, and streams that stood open are one long answer. Who talks across keeps that state;
this step is what remains when the state is put aside: the bodies.

`fields_meta.py` the envelope of every message; `fields_capabilities.py` what handshakes and discovery declare, as
functions; `fields_results.py` the type of a result and how long it keeps; `fields_questions.py` the bodies of questions
and their answers; `fields_schemas.py` schemas and structured content; `fields_headers.py` annotations for headers;
`fields_errors.py` codes; `fields_tasks.py` tasks, which only the older revision has; `fields_removed.py` every other
message that only one side has.
Invariant: with nothing but this step, a body of either side becomes a legal body of the other, or is refused.
"""

from __future__ import annotations

from protocol_versions import v2025_11_25, v2026_07_28
from translators.change import Step
from translators.v2025_11_25__v2026_07_28.fields_errors import RESERVED_CODES, RESOURCE_ABSENT
from translators.v2025_11_25__v2026_07_28.fields_headers import HEADERS
from translators.v2025_11_25__v2026_07_28.fields_meta import META
from translators.v2025_11_25__v2026_07_28.fields_questions import (
    ELICITATION_COMPLETE,
    ELICITATION_IDS,
    RETRIES,
    ROUND_TRIPS,
)
from translators.v2025_11_25__v2026_07_28.fields_removed import (
    CANCELLATION,
    CLIENT_PROGRESS,
    DISCOVERY,
    HANDSHAKE,
    LISTENING,
    LOG_LEVEL,
    PING,
    ROOTS_CHANGED,
    SUBSCRIBING,
)
from translators.v2025_11_25__v2026_07_28.fields_results import CACHE_HINTS, RESULT_TYPE
from translators.v2025_11_25__v2026_07_28.fields_schemas import ANY_SCHEMA, UNMOVABLE_SCHEMA
from translators.v2025_11_25__v2026_07_28.fields_tasks import TASKS_MOVED

STEP = Step(
    older=v2025_11_25.REVISION,
    newer=v2026_07_28.REVISION,
    changes=(
        HANDSHAKE,
        META,
        DISCOVERY,
        SUBSCRIBING,
        LISTENING,
        PING,
        LOG_LEVEL,
        ROOTS_CHANGED,
        CLIENT_PROGRESS,
        CANCELLATION,
        TASKS_MOVED,
        ROUND_TRIPS,
        RETRIES,
        RESULT_TYPE,
        CACHE_HINTS,
        RESOURCE_ABSENT,
        ANY_SCHEMA,
        UNMOVABLE_SCHEMA,
        HEADERS,
        ELICITATION_IDS,
        ELICITATION_COMPLETE,
        RESERVED_CODES,
    ),
)
