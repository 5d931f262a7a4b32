"""The configuration: what is accepted, what is refused, and where an error points."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from broker.settings import Limits, Settings, SettingsError

URL = "http://127.0.0.1:3000/mcp"
CANARY = "canary-7f3a91-secret"
DIGEST = "ab" * 32


def problems(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.build(tree)
    return caught.value.problems


def one(**members: Any) -> dict[str, Any]:
    return {"servers": {"files": {"url": URL, **members}}}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", f"servers:\n  files:\n    url: {URL}\n    revision: '2024-11-05'\n"),
        (".toml", f'[servers.files]\nurl = "{URL}"\nrevision = "2024-11-05"\n'),
        (".json", json.dumps(one(revision="2024-11-05"))),
    ],
)
def test_the_three_formats_mean_the_same(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"dragoman{suffix}"
    path.write_text(text, encoding="utf-8")
    settings = Settings.load(path)
    assert settings.servers["files"].revision == "2024-11-05"
    assert settings.path_of("files") == "/servers/files/mcp"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (one(url="ftp://x"), "servers.files.url: expected an http:// or https:// URL"),
        (one(url="http://user:pw@host/mcp"), "servers.files.url: expected no user or password in the URL"),
        (one(revison="auto"), "servers.files.revison: unknown key"),
        (one(revision="2025-01-01"), "servers.files.revision: expected one of 2024-11-05"),
        (one(filter={"tools": {"allow": []}}), "servers.files.filter.tools.allow: an empty list"),
        (one(headers={"Host": "a"}), "servers.files.headers: Host is written by the broker itself"),
        (one(headers={"X-A": "a\n"}), "servers.files.headers: the value of X-A must be visible ASCII"),
        (one(headers={"X-A": "a", "x-a": "b"}), "servers.files.headers: x-a is there twice"),
        (one(client_key="/dev/null/none"), "servers.files.client_key: there is no file"),
        ({"servers": {}}, "servers: "),
        ({"servers": {"Up": {"url": URL}}}, "servers.Up: "),
        ({**one(), "hosts": "x"}, "hosts: unknown key"),
        ({**one(), "port": "many"}, "port: expected a valid integer"),
        ({**one(), "client_revisions": []}, "client_revisions: expected `all` or a list"),
        ({**one(), "keys": {"alice": "short"}}, "keys.alice: "),
        ({**one(), "keys": {"alice": DIGEST, "bob": DIGEST}}, "keys: two names have the same key"),
        ({**one(), "limits": {"depth": 0}}, "limits.depth: expected greater than or equal to 8"),
        ({**one(), "limits": {"body_bytes": 10**12}}, "limits.body_bytes: "),
        ({**one(), "allowed_hosts": ["*"]}, "allowed_hosts: expected host or host:port"),
        ({**one(), "allowed_origins": ["*"]}, "allowed_origins: expected scheme://host"),
    ],
)
def test_an_error_names_the_place_and_what_is_expected(tree: dict[str, Any], expected: str) -> None:
    assert any(expected in line for line in problems(tree)), problems(tree)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "dragoman.yaml"
    path.write_text("servers:\n  files: {url: 7}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"dragoman\.yaml: servers\.files\.url: "):
        Settings.load(path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "servers: [", "not valid YAML"),
        ("a.yaml", "servers: {}\nservers: {}\n", "not valid YAML at line 2"),
        ("a.toml", "servers = ", "not valid TOML"),
        ("a.json", '{"servers": {}, "servers": {}}', "duplicate-member"),
        ("a.json", "[]", "expected a mapping"),
        ("a.ini", "", "expected a name ending in"),
    ],
)
def test_a_file_that_cannot_be_read_in_one_way_is_refused(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=expected):
        Settings.load(path)


def test_the_environment_fills_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND", "127.0.0.1:3000")
    monkeypatch.setenv("TOKEN", CANARY)
    path = tmp_path / "a.yaml"
    path.write_text(
        "servers: {a: {url: 'http://${BACKEND}/mcp', headers: {Authorization: 'env:TOKEN'}}}", encoding="utf-8"
    )
    backend = Settings.load(path).servers["a"]
    assert backend.url == URL
    assert backend.request_headers() == {"Authorization": CANARY}


def test_an_undefined_variable_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("servers: {a: {url: '${DRAGOMAN_NO_SUCH}'}}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"servers\.a\.url: the environment variable DRAGOMAN_NO_SUCH is not set"):
        Settings.load(path)


def test_a_bearer_token_may_be_named_with_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    for reference in ("Bearer env:TOKEN", f"Bearer file:{secret_file(tmp_path, 0o600)}"):
        settings = Settings.for_proxy(URL, backend={"headers": {"Authorization": reference}})
        assert settings.servers["default"].request_headers() == {"Authorization": f"Bearer {CANARY}"}
    with pytest.raises(SettingsError, match="DRAGOMAN_NO_SUCH is not set"):
        Settings.for_proxy(URL, backend={"headers": {"Authorization": "Bearer env:DRAGOMAN_NO_SUCH"}})


def secret_file(tmp_path: Path, mode: int) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{CANARY}\n", encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_secret_file_becomes_a_bearer_token(tmp_path: Path) -> None:
    settings = Settings.for_proxy(URL, backend={"bearer_file": str(secret_file(tmp_path, 0o600))})
    assert settings.servers["default"].request_headers() == {"Authorization": f"Bearer {CANARY}"}


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_secret_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, mode)
    for backend in ({"bearer_file": str(path)}, {"headers": {"X-Key": f"file:{path}"}}):
        with pytest.raises(SettingsError, match="readable by others"):
            Settings.for_proxy(URL, backend=backend)


def test_no_secret_shows_in_a_repr_a_dump_or_an_error(tmp_path: Path) -> None:
    backend = {"headers": {"X-Key": CANARY}, "bearer_file": str(secret_file(tmp_path, 0o600))}
    settings = Settings.for_proxy(URL, backend=backend)
    shown = repr(settings) + str(settings) + repr(settings.model_dump()) + settings.model_dump_json()
    assert CANARY not in shown
    assert "\n".join(problems(one(headers={"X Key": CANARY}, url=f"ftp://{CANARY}"))).count(CANARY) == 0
    assert settings.secrets() == [CANARY, f"Bearer {CANARY}"]


def test_what_people_are_told_of_an_address_is_without_its_query() -> None:
    (server,) = Settings.for_proxy(f"https://mcp.example.com/mcp?key={CANARY}").servers.values()
    assert server.place == "https://mcp.example.com/mcp"
    assert server.url.endswith(CANARY)


def test_loopback_without_keys_serves_one_anonymous_caller() -> None:
    settings = Settings.for_proxy(URL)
    assert (settings.local, settings.anonymous_allowed) == (True, True)


def test_keys_end_anonymous_access_unless_it_is_asked_for() -> None:
    assert not Settings.for_proxy(URL, keys={"alice": DIGEST}).anonymous_allowed
    assert Settings.for_proxy(URL, keys={"alice": DIGEST}, anonymous="allow").anonymous_allowed


@pytest.mark.parametrize(
    "members",
    [{"host": "192.0.2.7"}, {"host": "0.0.0.0", "allowed_hosts": ["a"]}, {"allowed_hosts": ["mcp.example.com"]}],
)
def test_a_broker_others_can_reach_needs_keys_or_a_decision(members: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="configure keys"):
        Settings.for_proxy(URL, **members)
    assert not Settings.for_proxy(URL, **members, keys={"alice": DIGEST}).local
    assert Settings.for_proxy(URL, **members, anonymous="allow").anonymous_allowed


def test_listening_everywhere_needs_names() -> None:
    with pytest.raises(SettingsError, match="allowed_hosts must say"):
        Settings.for_proxy(URL, host="0.0.0.0", anonymous="allow")


def test_client_revisions_keep_the_order_of_time() -> None:
    assert Settings.for_proxy(URL, client_revisions=["2025-06-18", "2024-11-05"]).revisions == (
        "2024-11-05",
        "2025-06-18",
    )


def test_every_limit_has_a_unit_or_is_a_count_and_says_its_precedent() -> None:
    for name, field in Limits.model_fields.items():
        assert field.description is not None, name
        assert "Precedent:" in field.description, name
        if field.annotation is float:
            assert name.endswith("_s"), name


@pytest.mark.parametrize("low", [{"sessions": 5}, {"call_total_s": 10.0}, {"session_lifetime_s": 60.0}])
def test_limits_that_contradict_each_other_are_refused(low: dict[str, Any]) -> None:
    assert any("must not be above" in line for line in problems({**one(), "limits": low}))
