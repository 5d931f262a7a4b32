"""The hooks of a backend in the order they judge, from the configuration.

    policy      rules on who may do what, before anything else is known of a request
    definitions tools that changed or look like others, in lists as the server wrote them
    own hooks   those for all servers, then those of this one, as the configuration lists them
    filter      names that are hidden from everybody
    inject      what requests are given that clients do not send
    sanitise    what is taken out of what a backend says, the last that is done to it

A request that a later hook has replaced is judged by the rules once more, as it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker import settings_inject
from broker.hooks.base import CallInfo, Hook
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.inject_context import InjectContext, Injection, Source
from broker.hooks.names import KINDS
from broker.limit_values import wire_of
from broker.settings import Backend, Settings
from broker.watch import Watch
from protocol_versions.jsonrpc import WireLimits


def hooks_of(
    name: str,
    backend: Backend,
    settings: Settings,
    limits: WireLimits,
    watch: Watch,
    before: Sequence[Hook] = (),
) -> list[Hook]:
    """The hooks of one backend, in order. What they know is taken over from those there were `before`.

    Raises:
        ValueError: a hook cannot be made.
    """
    found = [
        *_policy(name, backend, settings, before),
        *_definitions(name, backend, before),
        *_own(backend, settings, limits, before),
        *_filter(backend),
    ]
    if backend.inject:
        found.append(InjectContext([_injection(each) for each in backend.inject]))
    if settings.sanitise.of(name):
        found.append(_sanitise(name, settings, limits, watch, before))
    return found


def check_hooks(settings: Settings) -> None:
    """Make the operator's own hooks, to see that they can be made.

    Raises:
        ValueError: one cannot.
    """
    for backend in settings.servers.values():
        _own(backend, settings, wire_of(settings.limits), ())


def _policy(name: str, backend: Backend, settings: Settings, before: Sequence[Hook]) -> list[Hook]:
    rules = (*settings.policy.rules, *backend.policy.rules)
    default = backend.policy.default or settings.policy.default or "allow"
    if not rules and default == "allow":
        return []
    # Not above: a broker without rules need not load the engine of expressions.
    from broker.hooks.memory import Memory
    from broker.hooks.policy import Policy
    from broker.rules.build import rule_set

    memory = next((hook.memory for hook in before if isinstance(hook, Policy)), None)
    return [Policy(rule_set(rules, default=default, backend=name), memory or Memory())]


def _definitions(name: str, backend: Backend, before: Sequence[Hook]) -> list[Hook]:
    section = backend.definitions
    if section.changed == section.look_alike == "pass":
        return []
    from broker import telemetry
    from broker.hooks.definitions import Definitions, Seen

    def tell(what: str, tool: str, other: str) -> None:
        telemetry.audit("suspect-tool", reason=what, backend=name, tool=tool, other=other)

    seen = next((hook.seen for hook in before if isinstance(hook, Definitions)), None)
    pinned = {tool: frozenset(digests) for tool, digests in section.pinned.items()}
    return [Definitions(section.changed, section.look_alike, pinned, seen or Seen(), tell)]


def _own(backend: Backend, settings: Settings, limits: WireLimits, before: Sequence[Hook]) -> list[Hook]:
    entries = (*settings.hooks, *backend.hooks)
    if not entries:
        return []
    from broker.hooks.own import Guarded, own_hook

    kept = [hook for hook in before if isinstance(hook, Guarded)]
    found: list[Hook] = []
    for entry in entries:
        same = next((hook for hook in kept if hook.entry == entry), None)
        if same is not None:
            kept.remove(same)
        found.append(same or own_hook(entry, limits))
    return found


def _filter(backend: Backend) -> list[Hook]:
    rules = {
        kind: Rule(allow=getattr(backend.filter, kind).allow or (), deny=getattr(backend.filter, kind).deny)
        for kind in KINDS
    }
    return [FilterNames(rules)] if any(rule.allow or rule.deny for rule in rules.values()) else []


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


def _sanitise(name: str, settings: Settings, limits: WireLimits, watch: Watch, before: Sequence[Hook]) -> Hook:
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
        for rule in section.of(name)
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

    last = next((hook for hook in before if isinstance(hook, Sanitise)), None)
    made = Sanitise(
        rules,
        Clearance(who.levels, who.levels.index(who.default) if who.default else 0, grants),
        bounds=Bounds(bounds.text_chars, bounds.leaves, bounds.nested, bounds.time_s),
        key=section.hash_key.get_secret_value().encode() if section.hash_key is not None else None,
        limits=limits,
        note=note,
        before=last,
    )
    return last if last is not None and made.does(last) else made
