"""Who may do what: rules in CEL, compiled and checked when the configuration is loaded.

`language` knows CEL, `shape` what an expression may consist of, `ruleset` decides, `spelling` finds the other ways to
write a URI; `broker.hooks.policy` asks at every door. Invariants: a denial always wins; an error of a rule denies; a
decision depends on nothing but the rules, the caller, what is asked for and its arguments.
"""

from __future__ import annotations

from typing import Final

MAX_RULES: Final = 256
"""Rules of one server, with those for all; each costs a microsecond where nothing is known yet."""
