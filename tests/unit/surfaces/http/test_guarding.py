"""Who may come in by HTTP: from this machine without a token, from beyond it with one; no page of another site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from extrovert import DeclarationError, Http
from extrovert.surfaces.http.site import Site
from tests.unit.surfaces.http.wire import airport, ask, code, said

ANN, BOB = "ann-has-a-long-token", "bob-has-another-token"


async def routes(site: Site) -> Sequence[BaseRoute]:
    """A route that tells who asks, and one that fails."""

    async def me(request: Request) -> Response:
        return JSONResponse({"user": request.state.user})

    async def fails(request: Request) -> Response:
        raise ZeroDivisionError(f"a bug, with {request.headers['authorization']}")

    return [Route("/me", me), Route("/fails", fails)]


def bearer(token: str) -> str:
    return f"Bearer {token}"


# ---- from this machine


async def test_without_a_token_this_machine_may_ask(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        assert (await ask(http, "/health")).json == {"status": "alive"}
        assert (await ask(http, "/ready")).json == {"status": "ready", "app": "airport", "offset": 0}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000"])
async def test_it_may_call_itself_by_its_names(host: str, tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        assert (await ask(http, "/health", host=host)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""]
)
async def test_a_name_of_anothers_that_leads_here_is_refused(host: str, tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        assert code(await ask(http, "/health", host=host)) == (421, "other_host")


async def test_a_request_that_names_no_host_is_refused(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        assert code(await said(http, b"GET /health HTTP/1.0\r\n\r\n")) == (421, "other_host")
        assert code(await said(http, b"GET /health HTTP/1.1\r\n\r\n")) == (400, "not_http")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_it_does_not_listen_beyond_this_machine_without_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(
        DeclarationError, match=r"beyond this machine, at .*, a token is needed. Make one: export EXTRO"
    ):
        async with airport(tmp_path, Http(host=host, port=0)):
            pass


# ---- other sites


async def test_a_page_of_another_site_may_not_ask(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        for origin in ("https://evil.example", "http://localhost:9", "null", "http://localhost.evil.example"):
            assert code(await ask(http, "/health", origin=origin)) == (403, "other_site")
        assert (await ask(http, "/health", origin="http://localhost:8000", host="localhost:8000")).status == 200


async def test_a_site_that_is_named_may_ask_and_read_the_answer(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, origins=["https://desk.example"])):
        answer = await ask(http, "/health", origin="https://desk.example")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://desk.example")
        asked = {"origin": "https://desk.example", "access_control_request_method": "POST"}
        before = await ask(http, "/me", method="OPTIONS", **asked, access_control_request_headers="authorization")
        assert (before.status, before.headers["access-control-allow-origin"]) == (200, "https://desk.example")
        assert code(await ask(http, "/health", origin="https://evil.example")) == (403, "other_site")


@pytest.mark.parametrize("origin", ["*", "desk.example", "https://desk.example/page", "https://*.example"])
def test_a_site_is_named_as_browsers_do(origin: str) -> None:
    with pytest.raises(DeclarationError, match="names no site"):
        Http(origins=[origin])


# ---- tokens


async def test_where_there_is_a_token_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTROVERT_TOKEN", ANN)
    async with airport(tmp_path, http := Http(port=0), routes):
        for name, value in (
            ("x", ""),
            ("authorization", bearer(BOB)),
            ("authorization", f"Basic {ANN}"),
            ("token", ANN),
        ):
            answer = await ask(http, "/me", **{name: value})
            assert code(answer) == (401, "not_authenticated")
            assert answer.headers["www-authenticate"] == "bearer"
            assert ANN not in answer.body.decode()
        assert (await ask(http, "/me", authorization=bearer(ANN), host="any.example")).json == {"user": None}
        assert (await ask(http, "/health")).status == 200
        assert code(await ask(http, "/ready")) == (401, "not_authenticated")


async def test_a_token_may_stand_for_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNS", ANN)
    monkeypatch.setenv("BOBS", BOB)
    async with airport(tmp_path, http := Http(port=0, tokens={"ANNS": "ann", "BOBS": "bob"}), routes):
        assert (await ask(http, "/me", authorization=bearer(ANN))).json == {"user": "ann"}
        assert (await ask(http, "/me", authorization=bearer(BOB))).json == {"user": "bob"}
        assert code(await ask(http, "/me")) == (401, "not_authenticated")


async def test_the_program_may_say_itself_who_asks(tmp_path: Path) -> None:
    def who(headers: Mapping[str, str]) -> str | None:
        return headers.get("x-badge")

    async def slowly(headers: Mapping[str, str]) -> str | None:
        return headers.get("x-badge")

    for check in (who, slowly):
        async with airport(tmp_path, http := Http(port=0, who=check), routes):
            assert (await ask(http, "/me", x_badge="ann", host="any.example")).json == {"user": "ann"}
            assert code(await ask(http, "/me")) == (401, "not_authenticated")


async def test_a_check_that_fails_lets_nobody_in(tmp_path: Path) -> None:
    def who(headers: Mapping[str, str]) -> str | None:
        raise LookupError("no badges")

    async with airport(tmp_path, http := Http(port=0, who=who), routes):
        assert code(await ask(http, "/me")) == (500, "failed")


@pytest.mark.parametrize(
    ("token", "wrong"), [("", "holds no token"), ("short", "is shorter than 16"), (ANN, "is that of another")]
)
async def test_a_token_that_is_none_is_told(
    token: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTROVERT_TOKEN", ANN)
    monkeypatch.setenv("BOBS", token)
    with pytest.raises(DeclarationError, match=f"BOBS {wrong}|the token in BOBS {wrong}") as told:
        async with airport(tmp_path, Http(port=0, tokens={"BOBS": "bob"})):
            pass
    assert ANN not in str(told.value)


# ---- how often


async def test_a_client_that_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0, per_minute=2)):
        assert [(await ask(http, "/health")).status for _ in range(2)] == [200, 200]
        answer = await ask(http, "/health")
        assert code(answer) == (429, "too_many_requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 30


async def test_users_are_counted_apart_and_so_are_those_who_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNS", ANN)
    monkeypatch.setenv("BOBS", BOB)
    async with airport(tmp_path, http := Http(port=0, per_minute=1, tokens={"ANNS": "ann", "BOBS": "bob"}), routes):
        assert (await ask(http, "/me", authorization=bearer(ANN))).status == 200
        assert (await ask(http, "/me", authorization=bearer(ANN))).status == 429
        assert (await ask(http, "/me", authorization=bearer("no-such-token-at-all"))).status == 401
        assert (await ask(http, "/me", authorization=bearer("another-such-token"))).status == 429
        assert (await ask(http, "/me", authorization=bearer(BOB))).status == 200


async def test_who_guesses_takes_nothing_from_who_has_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTROVERT_TOKEN", ANN)  # behind a proxy all come from its address
    async with airport(tmp_path, http := Http(port=0, per_minute=1), routes):
        assert (await ask(http, "/me", authorization=bearer("no-such-token-at-all"))).status == 401
        assert (await ask(http, "/me", authorization=bearer(ANN))).status == 200


# ---- what goes wrong


async def test_what_is_not_there_is_told_in_the_same_shape(tmp_path: Path) -> None:
    async with airport(tmp_path, http := Http(port=0)):
        answer = await ask(http, "/nowhere")
        assert code(answer) == (404, "not_found")
        assert answer.json["error"]["message"] == "GET /nowhere: Not Found. See docs/http.md for what there is."
        assert code(await ask(http, "/health", b"x")) == (405, "not_with_this_method")


async def test_of_an_error_of_ours_nothing_is_told_outside_and_no_key_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ANNS", ANN)
    async with airport(tmp_path, http := Http(port=0, tokens={"ANNS": "ann"}), routes):
        answer = await ask(http, "/fails", authorization=bearer(ANN))
    assert code(answer) == (500, "failed")
    assert b"bug" not in answer.body
    assert "ZeroDivisionError: a bug, with Bearer [key]" in caplog.text
    assert ANN not in caplog.text
