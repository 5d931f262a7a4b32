"""The image and its example, as far as they can be judged without building them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from broker.cli import cli
from broker.settings import Settings
from tests.deploy.dockerfile import Instruction, of, stages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ARGUMENTS, (BUILD, FINAL) = stages(DEPLOY / "Dockerfile")
COMPOSE: Any = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KNOWN = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "LABEL", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
         "ENTRYPOINT", "CMD"}  # fmt: skip
SECRET = re.compile(r"secret|token|passw|credential|private|_key\b|api[_-]?key|authorization", re.IGNORECASE)
VARIABLES = {"DRAGOMAN_KEY_ALICE": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
             "EXAMPLE_URL": "https://mcp.example.com/mcp"}  # fmt: skip


def only(stage: list[Instruction], name: str) -> Instruction:
    (found,) = of(stage, name)
    return found


def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The example's configuration, with the variables it asks for."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return Settings.load(DEPLOY / "dragoman.yaml")


def understood(words: list[str]) -> None:
    """The command exists and takes these arguments; raises what the command line would say."""
    with click.Context(cli) as context:
        name, command, rest = cli.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_every_instruction_is_one_that_is_looked_at_here() -> None:
    assert {each.name for each in [*ARGUMENTS, *BUILD, *FINAL]} <= KNOWN


def test_both_stages_begin_with_one_base_that_is_pinned_by_its_tag_and_can_be_by_digest() -> None:
    name, _, image = only(ARGUMENTS, "ARG").text.partition("=")
    assert re.fullmatch(r"[a-z0-9/]+:[0-9]+\.[0-9]+[a-z0-9.-]*", image)
    assert [stage[0].text.split()[0] for stage in (BUILD, FINAL)] == [f"${{{name}}}"] * 2
    assert f"--build-arg {name}={image}@sha256:" in (DEPLOY / "README.md").read_text(encoding="utf-8")
    version = image.partition(":")[2].split("-")[0]
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert [int(part) for part in version.split(".")[:2]] >= [int(part) for part in least.split(".")]


def test_it_runs_as_a_user_by_number_that_is_not_root() -> None:
    user, _, group = only(FINAL, "USER").text.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    after = FINAL[FINAL.index(only(FINAL, "USER")) + 1 :]
    assert not of(after, "RUN")
    assert not of(after, "COPY")


def test_its_commands_exist_and_take_what_they_are_given() -> None:
    entry = only(FINAL, "ENTRYPOINT").words()
    (program,) = entry
    assert program in PROJECT["project"]["scripts"]
    understood(only(FINAL, "CMD").words())
    check = only(FINAL, "HEALTHCHECK").text.partition(" CMD ")[2]
    command, *rest = Instruction("CMD", check).words()
    assert command == program
    understood(rest)
    assert rest[-1] == only(FINAL, "CMD").words()[-1]


def test_a_command_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        understood(["no-such-command"])
    with pytest.raises(click.UsageError):
        understood(["health", "--no-such-option", "x"])


def test_the_sources_it_copies_are_those_the_wheel_is_made_of_and_reach_the_builder() -> None:
    copied = [word for each in of(BUILD, "COPY") for word in each.words()[:-1]]
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = ["pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    assert sorted(copied) == sorted([*wheel, *files])
    assert all((ROOT / name).exists() for name in copied)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(copied)
    assert [each.text.split()[0] for each in of(FINAL, "COPY")] == ["--from=build"]


def test_the_extras_it_installs_are_extras_of_the_package() -> None:
    (sync,) = [each.text for each in of(BUILD, "RUN") if each.text.startswith("uv sync")]
    extras = re.findall(r"--extra (\S+)", sync)
    assert extras
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])
    assert "--no-dev" in sync
    assert "--no-editable" in sync


def test_no_secret_is_in_it() -> None:
    said = [each for each in [*ARGUMENTS, *BUILD, *FINAL] if each.name in ("ARG", "ENV", "LABEL", "COPY", "RUN")]
    assert not [each for each in said if SECRET.search(each.text)]
    assert SECRET.search("API_TOKEN=1")


def test_the_ports_are_those_of_the_example_and_the_status_port_is_published_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = settings(monkeypatch)
    assert found.status.port is not None
    assert only(FINAL, "EXPOSE").words() == [str(found.port), str(found.status.port)]
    broker = COMPOSE["services"]["broker"]
    assert broker["ports"] == [f"127.0.0.1:{found.port}:{found.port}"]
    assert broker["expose"] == [str(found.status.port)]
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"broker:{found.status.port}"]}]
    assert "broker" in found.allowed_hosts
    assert not found.anonymous_allowed


@pytest.mark.parametrize("name", list(COMPOSE["services"]))
def test_every_container_of_the_example_can_do_as_little_as_possible(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert not str(service.get("user", "10001")).startswith(("0", "root"))
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    for volume in service["volumes"]:
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert rest.endswith(":ro")
            assert (DEPLOY / source).is_file()
        else:
            assert source in COMPOSE["volumes"]
    image = service["image"]
    assert service.get("build") or re.fullmatch(r"[a-z/]+:v?[0-9]+\.[0-9]+\.[0-9]+", image)


def test_the_example_gives_the_variables_its_configuration_asks_for_and_stops_late_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (DEPLOY / "dragoman.yaml").read_text(encoding="utf-8")
    broker = COMPOSE["services"]["broker"]
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(VARIABLES) <= set(broker["environment"])
    assert float(broker["stop_grace_period"].rstrip("s")) > settings(monkeypatch).limits.drain_s
    mounted = [volume.split(":")[1] for volume in broker["volumes"]]
    assert mounted == [only(FINAL, "CMD").words()[-1]]
    assert (DEPLOY / broker["build"]["context"] / broker["build"]["dockerfile"]).is_file()
