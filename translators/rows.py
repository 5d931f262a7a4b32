"""Every difference between the revisions, and who answers for it.

A1-A18 lie between 2024-11-05 and 2025-03-26, B1-B25 between 2025-03-26 and 2025-06-18, C1-C50 between 2025-06-18 and
2025-11-25, N1-N86 between 2025-11-25 and 2026-07-28; T1-T34 are habits of released peers that no page describes.
`Change.rows` names these ids; a test keeps both in step. `by` says who answers:

    step      a Change of the step                    hygiene   a repair every reader gets
    machine   the conversation, which keeps state     edge      a face or backend: framing, headers, streams
    same      the same bytes mean the same            later     not done; the text says what happens instead
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ROWS", "By", "Row"]

By = Literal["step", "hygiene", "machine", "edge", "same", "later"]


class Row(msgspec.Struct, frozen=True):
    """One difference: `about` says what differs and, where nothing here rewrites it, what is done."""

    id: str
    by: By
    about: str


_OLDEST = """
A1 edge batches must be received from 2025-03-26 peers; they are split and never built
A2 step the completions capability: declared for 2024-11-05 servers, -32601 read as nothing to complete
A3 step message of a progress notification
A4 step audio in tool results and prompts, carried as an embedded resource and back
A5 step audio in sampling, refused both ways
A6 step annotations of a tool
A7 same annotations have the same shape under another type name
A8 same order of unions and wording of descriptions
A9 edge HTTP+SSE and Streamable HTTP are two faces and two backends
A10 edge UTF-8, one compact message a line
A11 machine a call the broker gives up is cancelled at the backend and answered to the client
A12 machine notifications are never answered
A13 same completion errors are named, their shape is old
A14 edge authorization does not exist in 2024-11-05; credentials belong to the leg, not to the message
A15 same annotations are untrusted in every revision
A16 same size, instructions and template listing are in the oldest schema too
A17 edge a lost stream cancels nothing, the end of a 2024-11-05 stream ends its session
A18 same both revisions have the same methods
"""

_MIDDLE = """
B1 edge batches are gone: refused from 2025-06-18 clients, never sent
B2 step elicitation: not declared to older servers, -32601 for older clients
B3 step structuredContent, said as text for older readers
B4 step outputSchema of a tool
B5 step resource links in tool results, as text
B6 step a resource link in a prompt, as text
B7 step title of a tool, moved to its annotations
B8 step title of resources, templates, prompts, arguments and implementations
B9 step title of a prompt reference
B10 step context of a completion
B11 same a resource template reference is spelled as before
B12 step lastModified of annotations, and hygiene for dates without offset
B13 step _meta on items
B14 same unknown keys of a request's _meta pass: old peers are open, and vendors live there
B15 same documentation moved
B16 same sampling content did not change
B17 edge MCP-Protocol-Version is set for each leg, never forwarded
B18 machine undeclared notifications are dropped for readers that must be able to rely on capabilities
B19 edge one message a POST
B20 same the grammar of _meta keys; the broker makes none and renames none
B21 step annotations inside an embedded resource, moved to the block
B22 same URIs are keys and are never normalised
B23 hygiene content of a declined elicitation may be null
B24 edge authorization was reworked; tokens are never passed through
B25 edge batches on streams are split
"""

_NEWEST = """
C1 step icons
C2 step description and websiteUrl of an implementation
C3 step execution of a tool
C4 step the tasks capability is declared between two 2025-11-25 peers only
C5 step task of a request is removed; running a required task for an older client is later work, so the call fails
C6 step a created task is never handed over as a result
C7 step tasks methods, -32601
C8 step notifications/tasks/status
C9 step related-task, put back on the answer to a question
C10 step a cancellation without a request
C11 later progress of a task outlives its request only where tasks are emulated
C12 edge errors without id cannot be sent to older peers; they are logged and answered by status
C13 same parameters have types of their own
C14 step JSON Schema 2020-12 is the default dialect, and hygiene for input schemas without type
C15 same names of tools are guided, not bound; odd names pass
C16 same wording
C17 same reserved prefixes of _meta changed; no key is renamed
C18 same template listing stays paginated
C19 same wording of completion
C20 step sampling.tools and sampling.context are not declared to older servers
C21 step tools and toolChoice of a sampling request, refused
C22 step several blocks in a sampling message, split or joined
C23 step tool uses and results in sampling, refused
C24 step _meta of a sampling message
C25 same stopReason was open before
C26 step includeContext is dropped for clients that did not declare it
C27 same errors of sampling
C28 hygiene a list of one block answers a question without tools as that block
C29 step form and url of the elicitation capability; url alone is no elicitation
C30 step mode of a form
C31 step URL mode, refused with -32602
C32 step notifications/elicitation/complete
C33 step -32042: a tool error with the URL, or an error that names it
C34 step titled and multiple choices, the latter as yes/no fields
C35 step default of strings, numbers and enums, in words
C36 step a list in an elicitation result
C37 step $schema and pattern of a form
C38 step the code for an undeclared mode
C39 same rules about sensitive data; forms and URLs are not logged
C40 edge priming events are kept from readers that parse them
C41 edge a stream closed before its answer is resumed by the broker
C42 edge event ids are the broker's own
C43 edge 403 for a bad Origin in every revision
C44 edge header names in any case
C45 edge the fall-back to HTTP+SSE
C46 edge stderr is no error
C47 edge a stream may end with its session
C48 same -32602 of an older server for bad arguments stays an error
C49 same task errors are not evidence of anything
C50 edge discovery and consent changed; 401 and 403 pass with their headers
"""

_STATELESS = """
N1 machine initialize is gone: a session client is answered from server/discover, and a discovery from initialize
N2 machine notifications/initialized is gone: it ends at the conversation, which says it to a server with sessions
N3 machine ping is gone: answered at once, whoever sends it
N4 machine logging/setLevel is gone: kept and said with each request; of a server's session the most curious request's
N5 machine capabilities are declared by each request; only those that declare the same share a server's session
N6 step reserved keys of _meta: added to requests, taken out for session peers, never believed from them
N7 machine a version that does not match is -32022 instead of a counter-offer
N8 step resultType of every result; what is no result is refused
N9 machine nothing may rely on earlier requests: the broker remembers, and one caller's requests share a session
N10 machine instructions are those of server/discover or of initialize
N11 machine clientInfo is said with each request, as the client introduced itself in its session
N12 edge clients without sessions may introduce themselves anew each time: a session is opened in the first one's name
N13 step lists and reads carry cache hints: stale at once and private, unless somebody knows better
N14 machine cursors are opaque; those of a session that requests share are refused once it was opened again
N15 machine answers that come with a retry go to the call that was suspended; without one they are dropped
N16 hygiene more than 100 completions
N17 machine resources/subscribe and unsubscribe become the filter of a listening request, and are made from it
N18 machine subscriptions/listen feeds the standing stream of a session client, or is fed by that of a server
N19 machine sampling, roots and elicitation are requests of their own, or entries of an interim result meanwhile
N20 step tasks methods of both kinds, -32601
N21 edge methods of vendors are not forwarded across this pair
N22 machine a cancellation closes the stream of a call, or is a notification; a question that is taken back is void
N23 step progress of the client is dropped
N24 machine log messages only during calls that asked for them; those of no call are dropped
N25 machine announcements travel on the listening stream or on the standing one
N26 step notifications/roots/list_changed is dropped: a server asks again when it needs roots
N27 machine notifications/elicitation/complete lets a waiting call go on, or is made when a server asks no more
N28 step notifications/tasks/status
N29 machine the acknowledgement of a subscription ends at the conversation, or is made by it
N30 step properties of an input schema may be booleans
N31 step an output schema may be any schema: wrapped, or left out where it cannot be
N32 step structuredContent may be any value: wrapped with its schema, else said as text
N33 step structuredContent of a tool result in sampling
N34 step execution of a tool
N35 step resultType, ttlMs and cacheScope
N36 hygiene at most 100 completions are schema now
N37 step a cancellation must name its request
N38 step elicitationId of a URL elicitation
N39 step _meta and task of sampling and elicitation
N40 step _meta of answers to elicitation and roots
N41 same a sampling answer keeps its _meta and gets no resultType
N42 machine listChanged of roots, and the tasks capabilities, are not declared across
N43 machine extensions are declared as they are, save that of tasks
N44 edge an error without id
N45 machine ids are unique in a session, or among those outstanding: the broker mints them
N46 same content, annotations, icons, prompts, resources and forms are spelled the same
N47 same roots, sampling, logging and includeContext are deprecated, not gone
N48 edge the GET stream is gone
N49 edge DELETE is gone
N50 edge Mcp-Session-Id is gone
N51 edge answers are JSON or a stream without event ids
N52 edge resumption is gone: the broker resumes on the side that can
N53 edge a closed stream cancels, where it did not before
N54 machine a call's stream carries notifications of that call alone
N55 edge responses are not posted any more
N56 edge notifications are answered by 202
N57 edge arrays are refused
N58 edge the status of an answer is chosen when its first message is known
N59 edge MCP-Protocol-Version stands on every request and agrees with the body
N60 edge Mcp-Method
N61 edge Mcp-Name
N62 step x-mcp-header of a tool: not shown to session clients, and only sound ones to others
N63 edge Accept
N64 edge repeated headers are refused
N65 edge credentials belong to the leg
N66 edge trace context in headers; in _meta it passes
N67 edge Last-Event-ID
N68 edge errors of requests travel with 200 to session clients
N69 edge an unknown method is 404 and -32601 for clients without sessions
N70 edge a request without its envelope is 400 and -32602 of clients without sessions
N71 edge headers that disagree with the body are 400 and -32020 of clients without sessions
N72 step a capability the client lacks, -32021: a tool error, or -32603 to session clients
N73 edge a revision nobody speaks
N74 edge sessions that are missing or unknown
N75 step -32002 and -32602 for a resource that is not there
N76 machine -32042 of an older server: a round of pages to visit and the call anew, or -32021 of what the client lacks
N77 machine a requestState of the broker's own names a suspended call; one that is not right has one answer, -32602
N78 edge overload
N79 edge a backend that cannot be reached
N80 edge 401 and 403
N81 edge 403 for a bad Origin
N82 edge 406, 413 and 400 of the transport
N83 step codes in the reserved range: what is not defined becomes -32603 and keeps its number in data
N84 edge a process is a session, or is none
N85 edge a pipe keeps the revision it began with
N86 edge probing a pipe with server/discover
"""

_TRAPS = """
T1 hygiene npm clients reject any member of an empty result but _meta
T2 step a created task is read as a successful empty result
T3 step one unknown request or notification kills old Python sessions: tables and gates decide, not the peer
T4 edge a 4xx destroys Python sessions: errors of requests travel with 200
T5 edge Python clients open no GET stream without a session id
T6 edge a JSON answer leaves no way for nested requests
T7 edge empty data lines are dispatched as messages
T8 edge the version header belongs to the leg
T9 hygiene outputSchema and structuredContent stand or fall together, and the latter is an object
T10 hygiene resource links without name
T11 step oneOf looks like free text to 2025-06-18
T12 step url-only elicitation is no elicitation
T13 machine a cancellation is renumbered, and ends broker requests too
T14 later a required task is known from tools/list only
T15 hygiene null for an absent member, and a task's ttl, which is null and present
T16 edge EventSource makes a new session of a lost one
T17 edge ids and frames that SDKs misread
T18 hygiene levels no revision has; messages of servers without logging are the machine's
T19 hygiene schemas that are booleans or lack their type
T20 hygiene _meta values of another kind; nothing is parked in _meta
T21 same URIs that a model would normalise
T22 edge errors on events with ids make npm resume
T23 edge one GET stream for each session
T24 edge batches are dropped by every SDK server
T25 hygiene base64 of another alphabet
T26 hygiene null for content or isError
T27 hygiene enums outside their values: the member goes, the item stays
T28 hygiene more than 100 completions
T29 same an unknown elicitation id is ignored
T30 hygiene priorities and sizes out of range
T31 step split messages are not merged on the way back
T32 edge initialize may be answered by a stream
T33 same npm drops members it does not model
T34 same schemas are edited as trees, so unknown keywords stay
"""


def _rows(text: str) -> tuple[Row, ...]:
    lines = (line.split(" ", 2) for line in text.strip().splitlines())
    return tuple(msgspec.convert({"id": name, "by": by, "about": about}, Row) for name, by, about in lines)


ROWS: tuple[Row, ...] = (
    *_rows(_OLDEST),
    *_rows(_MIDDLE),
    *_rows(_NEWEST),
    *_rows(_STATELESS),
    *_rows(_TRAPS),
)
