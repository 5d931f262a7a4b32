"""The subcommands of `policy`: what the rules of a configuration say, and what can be pinned, without serving it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli_codes import RUNTIME

if TYPE_CHECKING:
    from broker.policy_cases import Case, Found
    from broker.settings import Settings


@click.group()
def policy() -> None:
    """Rules on who may do what: try them before they are served."""


@policy.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The configuration.")
@click.option("--quiet", is_flag=True, help="Say only what is not as expected.")
def test(file: Path, config: Path | None, quiet: bool) -> None:
    """Check the table of cases in FILE (YAML, TOML or JSON) against a configuration.

    Each case says who asks which server for what, and what should become of it: `expect` (allow, deny), and if you like
    the `rule` that should decide and whether the thing is `listed`. The exit code is 1 if a case is not as expected.

    \b
    Example of a case
      {server: files, principal: "key:alice", tool: read_file, arguments: {path: /a}, expect: deny, rule: own-folder}
    """
    from broker.policy_cases import found, load
    from broker.settings_file import SettingsError

    cases = load(file)
    if config is None and not cases.config:
        raise click.UsageError("which configuration? Say --config FILE, or `config: FILE` in the cases")
    settings = _settings(config or file.parent / cases.config)
    failed = 0
    for number, case in enumerate(cases.cases):
        try:
            got = found(case, settings)
        except SettingsError as error:
            raise SettingsError([f"{file}: cases.{number}: {line}" for line in error.problems]) from None
        wrong = _differences(case, got)
        failed += bool(wrong)
        if wrong:
            click.echo(f"FAIL  {file}: cases.{number}: {case}")
            for line in (*wrong, *_values(got)):
                click.echo(f"      {line}")
        elif not quiet:
            click.echo(f"ok    {case}: {_said(got)}")
    click.echo(f"{len(cases.cases)} cases, {failed} not as expected")
    if failed:
        sys.exit(RUNTIME)


@policy.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CONFIG")
@click.option("--server", required=True, metavar="NAME", help="The server as CONFIG names it.")
@click.option("--principal", default="local", show_default=True, help="The caller, such as key:alice.")
@click.option("--credential", default="", help="How it is known.  [default: the part of --principal before the colon]")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="A scope it has; repeat for more.")
@click.option("--claims", default="{}", metavar="JSON", help="What its token says.")
@click.option("--client-name", default="", help="What the client says its name is.")
@click.option("--client-revision", default="2025-11-25", show_default=True, help="Spoken towards the client.")
@click.option("--backend-revision", default="2025-11-25", show_default=True, help="Spoken towards the server.")
@click.option("--tool", help="The tool that is called.")
@click.option("--prompt", help="The prompt that is asked for.")
@click.option("--resource", metavar="URI", help="The resource that is read.")
@click.option("--template", metavar="URI", help="The template that is used.")
@click.option("--method", default="", help="Another method, such as resources/subscribe, with or without one of these.")
@click.option("--arguments", default="{}", metavar="JSON", help="The arguments of the call.")
@click.option("--annotations", default="{}", metavar="JSON", help="What the server says of the tool.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def explain(config: Path, as_json: bool, **asked: Any) -> None:
    """Say which rule of CONFIG decides one call, and what each rule says of it.

    \b
    Example
      dragoman policy explain dragoman.yaml --server files --principal key:alice --tool read_file --arguments '{}'
    """
    from pydantic import ValidationError

    from broker.policy_cases import Case, found
    from broker.settings_file import problems_of

    for name in ("claims", "arguments", "annotations"):
        asked[name] = object_of(name, asked[name])
    try:
        case = Case.model_validate(asked)
    except ValidationError as error:
        raise click.UsageError("; ".join(problems_of(error))) from None
    got = found(case, _settings(config))
    if as_json:
        click.echo(json.dumps(_tree(got), indent=2))
        return
    click.echo(f"{case}: {_said(got)}")
    click.echo(f"  in lists     {'yes' if got.listed else 'no'}")
    click.echo(f"  in reports   {got.reason}")
    if got.answer:
        click.echo(f"  the client   {got.answer}")
    for line in _values(got):
        click.echo(f"  {line}")


@policy.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CONFIG")
@click.option("--server", "name", metavar="NAME", help="Only this server.")
def pin(config: Path, name: str | None) -> None:
    """Print what the tools of each server are defined as now, to be pinned in CONFIG once somebody has read them.

    A tool that is defined otherwise later is held back then. Servers are asked for their lists; nothing is called. The
    exit code is 1 if one cannot be asked.

    \b
    Example
      dragoman policy pin dragoman.yaml --server files
    """
    from broker.cli_check import asked, names_of
    from broker.pins import lines, pins

    settings = _served(config)
    found = asked(pins(settings, names_of(settings, name)))
    click.echo("\n".join(["servers:", *(line for each in found if not each.problem for line in lines(each))]))
    for each in found:
        if each.problem:
            click.echo(f"dragoman: {each.server}: {each.problem}", err=True)
    if any(each.problem for each in found):
        sys.exit(RUNTIME)


def _settings(path: Path) -> Settings:
    from broker.hosts.serving import host_document
    from broker.hosts.spans import CannotRead
    from broker.settings_target import ruled

    try:
        document = host_document(path)
    except CannotRead:
        return _served(path)  # which says where
    return ruled(path) if document is None else _served(path)


def _served(path: Path) -> Settings:
    """The settings of a file as it is served."""
    from broker.hosts.machine import Machine
    from broker.hosts.serving import settings

    found, _ = settings(path, Machine.here())
    return found


def object_of(name: str, text: str) -> dict[str, Any]:
    """The JSON object that an option is; the command line is wrong if it is none."""
    from protocol_versions.strict import Refused, load

    try:
        found = load(text.encode())
    except Refused as error:
        raise click.UsageError(f"--{name}: not valid JSON: {error.reason}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"--{name}: expected an object")
    return found


def _differences(case: Case, got: Found) -> list[str]:
    wrong = []
    verdict = "allow" if got.allowed else "deny"
    if verdict != case.expect or (case.rule is not None and case.rule != got.rule):
        by = "" if case.rule is None else f" by {case.rule}"
        wrong += [f"expected  {case.expect}{by}", f"found     {verdict} by {got.rule} ({got.reason})"]
    if case.listed is not None and case.listed != got.listed:
        wrong += [f"expected  {_listed(case.listed)}", f"found     {_listed(got.listed)}"]
    return wrong


def _listed(value: bool) -> str:
    return "in lists" if value else "not in lists"


def _said(got: Found) -> str:
    return f"{'allowed' if got.allowed else 'denied'} by {got.rule}"


def _values(got: Found) -> list[str]:
    """Each rule with what it says."""
    wide = max((len(name) for name, _, _ in got.values), default=0)
    lines = []
    for name, effect, value in got.values:
        said = f"error: {value}" if isinstance(value, str) else str(value).lower()
        lines.append(f"{effect:<5} {name:<{wide}}  {said}")
    return lines or ["no rules"]


def _tree(got: Found) -> dict[str, Any]:
    rules = [{"name": name, "effect": effect, "value": value} for name, effect, value in got.values]
    return {
        "allowed": got.allowed,
        "listed": got.listed,
        "rule": got.rule,
        "reason": got.reason,
        "answer": got.answer,
        "rules": rules,
    }
