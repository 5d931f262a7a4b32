"""What kinds of notes mean. Invariant: every kind in the code is here, and no other (a test compares them)."""

from __future__ import annotations

from typing import Final

NOTES: Final = {
    "audit-failing": "A sink of the audit log did not take lines; `reason` names it.",
    "backend-era-changed": "A server left the era it was of; its session goes on in the other one.",
    "backend-revision-changed": "A server settled on another revision when its session was opened again.",
    "backend-revision-differs": "A session of a server was opened in another revision than its other sessions.",
    "cannot-ask": "A server cannot ask clients without a session, and `reason` says what it lacks for that.",
    "cut-off": "A caller's streams, sessions or calls ended, because its credential did.",
    "degraded": "The broker does with less than a revision offers: a server refused to be listened to, a call had too "
    "many rounds.",
    "denied": "Policy refused a message; `reason` is the rule.",
    "dropped": "A message was not passed on: nobody waits for it, or nobody can be given it.",
    "era-contradicted": "An answer does not fit the era a server is believed to be of; it is looked at again.",
    "failed": "A call got no answer from its server, or met a bug of the broker (`internal:TYPE`).",
    "gap": "A standing stream was away, and what it would have carried is lost.",
    "guessed": "A question could belong to several calls; the newest is meant (`attribution: newest`).",
    "issuer-not-asked": "An issuer does not answer questions about tokens; nobody gets in by one until it does.",
    "issuer-not-read": "An issuer's keys or metadata could not be read; those that are known are used on.",
    "log-failed": "A line of the log could not be written.",
    "lossy": "A translation acted on a message; what it lost is counted as losses.",
    "no-backend-token": "No access token for a server could be got.",
    "park-expired": "A call that waited for its client's answers was ended, because none came in time.",
    "refused": "A request was refused by the broker: at the door, or for what it asks.",
    "revocations-not-read": "The file of what is revoked could not be read; the last one holds.",
    "revocations-not-written": "What was revoked here could not be kept, and holds until the broker ends.",
    "sanitised": "Something was taken out of what a server said; `reason` says by what rule.",
    "session-ended": "A client's session ended; `reason` says why.",
    "session-lost": "A server does not know its session any more; it is opened again.",
    "session-not-reopened": "It could not be, and what waited for it failed.",
    "sign-in-failed": "A person could not be signed in at a server.",
    "stale-facts": "What is known of a stateless server was wrong, and is read again.",
    "suspect-tool": "A tool is defined otherwise than it was (`other` is its digest), or its name looks like that of "
    "`other`.",
    "swallowed": "A notification was not passed on, because the reader's revision has none like it.",
    "tool-dropped": "A tool was left out of a list, because its header annotations break the rules.",
    "violation": "A peer said what its revision does not allow; it was not passed on.",
    "void": "A question was taken back by its server while it was being asked.",
}
"""Kind -> what happened. The label `kind` of `dragoman_notes_total`, and the `event` of a line of the log."""

GUIDES: Final = {
    "hosts": "Hosts and their files, servers where a person signs in, systems",
    "configuring": "The file, what is read again, pipes, checks and reports",
    "callers": "Who may call, credentials for servers, what guards the door",
    "policy": "Rules, tools that change, quotas, hooks, sanitising, injection",
    "sessions": "Clients without sessions before servers with them",
    "observing": "Audit, metrics and traces",
    "decisions": "What was decided, and why",
}
"""Pages that people write."""

SECTIONS: Final = GUIDES | {
    "errors": "Reasons of the errors that clients get",
    "notes": "Kinds of notes in the log and in metrics",
    "losses": "What translations lose, by Change",
    "metrics": "Metrics at `/metrics` and over OpenTelemetry",
    "audit": "Events and members of audit lines",
    "configuration": "Keys of the configuration",
}
"""All pages; those that are no guides are made from the code."""
