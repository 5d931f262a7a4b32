"""The audit trail: one JSON line per admitted, denied, failed and degraded action, chained by hashes.

`log` decides what is written and what a failing sink means, `lines` how a line looks, `chain` how lines hold together,
`sinks` where they go, `recovery` what an earlier process left behind, `trail` what one edge tells the log of its calls.
"""
