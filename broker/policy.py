"""The hooks of a backend, in the order they judge, from the configuration.

Names are filtered first, so that nothing is looked through that is hidden anyway; what is sanitised is the last that is
done to what a backend says.
"""

from __future__ import annotations

import fnmatch

from broker import settings_inject
from broker.hooks.base import CallInfo, Hook
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.inject_context import InjectContext, Injection, Source
from broker.settings import Backend, Settings
from broker.watch import Watch
from protocol_versions.jsonrpc import WireLimits


def hooks_of(name: str, backend: Backend, settings: Settings, limits: WireLimits, watch: Watch) -> list[Hook]:
    """The hooks of one backend, in order."""
    found: list[Hook] = []
    rules = {
        kind: Rule(allow=getattr(backend.filter, kind).allow or (), deny=getattr(backend.filter, kind).deny)
        for kind in ("tools", "prompts", "resources", "templates")
    }
    if any(rule.allow or rule.deny for rule in rules.values()):
        found.append(FilterNames(rules))
    if backend.inject:
        found.append(InjectContext([_injection(each) for each in backend.inject]))
    if any(_for(name, rule.servers) for rule in settings.sanitise.rules):
        found.append(_sanitise(name, settings, limits, watch))
    return found


def _injection(section: settings_inject.Injection) -> Injection:
    sources = {kind: getattr(section, kind) for kind in ("value", "claim", "caller", "request")}
    kind, key = next((kind, key) for kind, key in sources.items() if key is not None)
    argument, meta, header = section.argument, section.meta, section.header
    return Injection(
        "argument" if argument else "meta" if meta else "header",
        argument or meta or header or "",
        Source(kind, key),  # type: ignore[arg-type]
        of="tools" if section.prompts is None else "prompts",
        targets=section.prompts or section.tools or ("*",),
        methods=section.methods,
        given=section.given,
        missing=section.missing,
    )


def _for(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _sanitise(name: str, settings: Settings, limits: WireLimits, watch: Watch) -> Hook:
    # Not above: a broker that sanitises nothing need not load the engine of expressions.
    from broker.hooks.clearance import Clearance, Grant
    from broker.hooks.sanitise import Rule as Sanitises
    from broker.hooks.sanitise import Sanitise
    from broker.hooks.sanitise_detect import SETS, own
    from broker.hooks.sanitise_free import Bounds
    from broker.hooks.sanitise_paths import path_of

    section, who = settings.sanitise, settings.clearance
    sets = SETS | {label: (own(label, pattern),) for label, pattern in section.detectors.items()}
    rules = [
        Sanitises(
            actions=rule.actions(who.levels),
            detectors=tuple(detector for label in rule.find for detector in sets[label]),
            paths=tuple(path_of(path) for path in rule.paths),
            name=rule.name,
            methods=rule.methods,
            targets=rule.targets,
        )
        for rule in section.rules
        if _for(name, rule.servers)
    ]
    grants = tuple(
        Grant(
            who.levels.index(grant.level),
            grant.principals,
            grant.kinds,
            tuple((claim, value if isinstance(value, tuple) else (value,)) for claim, value in grant.claims.items()),
            grant.scopes,
        )
        for grant in who.grants
    )
    bounds = section.bounds

    def note(info: CallInfo, method: str, what: str) -> None:
        watch.note(info.backend, "sanitised", method, what)

    return Sanitise(
        rules,
        Clearance(who.levels, who.levels.index(who.default) if who.default else 0, grants),
        bounds=Bounds(bounds.text_chars, bounds.leaves, bounds.nested, bounds.time_s),
        key=section.hash_key.get_secret_value().encode() if section.hash_key is not None else None,
        limits=limits,
        note=note,
    )
