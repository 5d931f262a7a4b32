"""How one line looks: an API Activity event (OCSF 1.6.0, class 6003), everything else under `unmapped`.

Invariants: the members and their order are fixed; what peers wrote stands in strings alone, fit by `text.fit`; the
last member is `prev`, which `chain` seals.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from broker.audit.text import ascii_json, fit
from broker.version import VERSION

SCHEMA: Final = "1.6.0"
_CLASS: Final = 6003
_PRODUCT: Final = Raw(msgspec.json.encode({"name": "dragoman", "vendor_name": "dragoman", "version": VERSION}))
_PROFILES: Final = Raw(b'["security_control"]')

ALLOWED, DENIED, NEITHER = 1, 2, 99
"""`action_id`."""

PENDING, SUCCESS, FAILURE, OTHER = 0, 1, 2, 99
"""`status_id`."""

_ACTIVITY: Final = {"logging/setLevel": 3, "resources/subscribe": 3, "resources/unsubscribe": 3, "initialize": 1}
"""Create, update and delete; what is in READS is read, and all else is other."""

READS: Final = frozenset(
    (
        "completion/complete", "initialize", "logging/setLevel", "ping", "prompts/get", "prompts/list",
        "resources/list", "resources/read", "resources/subscribe", "resources/templates/list", "resources/unsubscribe",
        "server/discover", "subscriptions/listen", "tasks/get", "tasks/list", "tasks/result", "tools/list",
    )
)  # fmt: skip
"""Methods that change nothing at a server but what this client is told. A tool call is none, whatever the server says
of it: annotations are the word of a server, and "clients MUST consider tool annotations to be untrusted"."""

_KINDS: Final = {"tools": "tool", "prompts": "prompt", "resources": "resource", "completion": "reference"}
_SEVERITY: Final = {"denied": 2, "degraded": 2, "suppressed": 2, "lost": 3, "gap": 3}


class Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    version: str
    profiles: Raw
    product: Raw
    event_code: str
    sequence: int
    uid: str
    correlation_uid: str = ""


class Request(msgspec.Struct, gc=False):
    uid: str


class Response(msgspec.Struct, gc=False):
    code: int


class Service(msgspec.Struct, gc=False):
    name: str


class Api(msgspec.Struct, omit_defaults=True, gc=False):
    operation: str
    service: Service | None = None
    version: str = ""
    request: Request | None = None
    response: Response | None = None


class Resource(msgspec.Struct, gc=False):
    name: str
    type: str


class Lost(msgspec.Struct, gc=False):
    """One thing a translation lost."""

    change: str
    path: str
    loss: str


class Unmapped(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """What the class has no place for."""

    client_revision: str = ""
    client_version: str = ""
    server_request_id: int = 0
    decision: str = ""
    rule: str = ""
    round: int = 1
    requests: int = 1
    resumes: str = ""
    suspends: str = ""
    executed: str = ""
    latency_us: int | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    arguments_cut: int = 0
    losses: list[Lost] = []
    losses_left_out: int = 0
    process: str = ""
    fsync: str = ""
    file: str = ""
    head: str = ""
    torn_bytes: int = 0
    torn_sha256: str = ""
    open: list[str] = []
    scanned_all: bool = True
    count: int = 0
    sink: str = ""
    after: str = ""
    clock_us: int = 0
    prev: str


class Line(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One line without its seal."""

    time: int
    category_uid: int | None = 6
    class_uid: int
    activity_id: int
    type_uid: int
    severity_id: int
    status_id: int
    status_code: str = ""
    status_detail: str = ""
    action_id: int
    duration: int | UnsetType = UNSET
    metadata: Metadata
    actor: Raw | UnsetType = UNSET
    api: Api
    resources: list[Resource] = []
    src_endpoint: Raw
    http_request: dict[str, str] = {}
    unmapped: Unmapped


class Stamp(msgspec.Struct, gc=False):
    """When and where in its process a line stands: milliseconds, microseconds, and what the chain has so far."""

    time_ms: int
    clock_us: int
    process: str
    sequence: int
    head: str


_encode = msgspec.json.Encoder().encode


def body_of(
    event: str,
    stamp: Stamp,
    *,
    method: str = "",
    server: str = "",
    revision: str = "",
    client_id: str | None = None,
    correlation: str = "",
    code: int | None = None,
    status: int = OTHER,
    status_code: str = "",
    detail: str = "",
    action: int = NEITHER,
    duration_ms: int | UnsetType = UNSET,
    target: str | None = None,
    actor: Raw | UnsetType = UNSET,
    source: Raw | None = None,
    http_method: str = "",
    **unmapped: Any,
) -> bytes:
    """The JSON of a line, to be sealed. `method`, `target` and `client_id` may be anything a peer wrote."""
    activity = _ACTIVITY.get(method) or (2 if method in READS else 99)
    line = Line(
        time=stamp.time_ms,
        category_uid=6,
        class_uid=_CLASS,
        activity_id=activity,
        type_uid=_CLASS * 100 + activity,
        severity_id=_SEVERITY.get(event, 1),
        status_id=status,
        status_code=status_code or ("" if code is None else str(code)),
        status_detail=fit(detail),
        action_id=action,
        duration=duration_ms,
        metadata=Metadata(
            SCHEMA, _PROFILES, _PRODUCT, event, stamp.sequence, f"{stamp.process}-{stamp.sequence}", correlation
        ),
        actor=actor,
        api=Api(
            fit(method) or event,
            Service(server) if server else None,
            revision,
            None if client_id is None else Request(fit(client_id)),
            None if code is None else Response(code),
        ),
        resources=[] if target is None else [Resource(fit(target), _KINDS.get(method.partition("/")[0], "other"))],
        src_endpoint=source or NOWHERE,
        http_request={"http_method": fit(http_method)} if http_method else {},
        unmapped=Unmapped(clock_us=stamp.clock_us, prev=stamp.head, **unmapped),
    )
    return ascii_json(_encode(line))


NOWHERE: Final = Raw(b"{}")


def source_of(peer: str) -> Raw:
    """`src_endpoint` of a peer's address."""
    return Raw(_encode({"ip": fit(peer)})) if peer else NOWHERE


def actor_of(principal: str, kind: str, client_name: str = "", session: str = "") -> Raw:
    """`actor` of a caller."""
    user = {"uid": fit(principal), "type": kind, "name": fit(client_name)}
    actor: dict[str, Any] = {"user": {name: value for name, value in user.items() if value}}
    if session:
        actor["session"] = {"uid": session}
    return Raw(_encode(actor))
