"""`extrovert run --http`: an engine that is reached by HTTP until it is told to stop."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.e2e.command import Home, Run, flights

TOKEN = "canary-of-a-token-0123456789"


def url_of(run: Run) -> str:
    return run.line().removeprefix("It listens at ")


def got(url: str, token: str = "") -> tuple[int, dict[str, str]]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)["error"]


def test_it_says_where_it_listens_and_is_ready(home: Home) -> None:
    with home.running("--http", "0") as run:
        url = url_of(run)
        assert url.startswith("http://127.0.0.1:")
        assert got(f"{url}/health") == (200, {"status": "alive"})
        home("send", "flights", "-", given=flights("F1"))
        assert got(f"{url}/ready") == (200, {"status": "ready", "app": "airline", "offset": 1})
        done = run.end()
    assert (done.code, done.out, done.err) == (0, "Stopped. The log of .extrovert ends at offset 1.\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_connections_that_are_open_do_not_keep_it_from_stopping(home: Home, number: signal.Signals) -> None:
    with home.running("--http", "0") as run:
        host, port = url_of(run).removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle, socket.create_connection((host, int(port))) as half:
            idle.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert idle.recv(1_000).startswith(b"HTTP/1.1 200")
            half.sendall(b"POST /health HTTP/1.1\r\nhost: loc")
            began = time.monotonic()
            done = run.end(number)
            assert time.monotonic() - began < 10
    assert (done.code, done.err) == (0, "")


def test_a_second_engine_on_the_port_is_told_what_to_do(home: Home, tmp_path: Path) -> None:
    with home.running("--http", "0") as run:
        port = url_of(run).rpartition(":")[2]
        done = Home(tmp_path / "other")("run", "airline.py", "--http", port)
        assert (done.code, done.out) == (1, "")
        assert f"Error: Port {port} of 127.0.0.1 is in use, perhaps by another engine. Stop that, or take" in done.err
        assert "Traceback" not in done.err


def test_beyond_this_machine_it_wants_a_token(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    done = home("run", "airline.py", "--http", "0.0.0.0:0")
    assert done.code == 2
    assert "beyond this machine, at 0.0.0.0, a token is needed. Make one: export EXTROVERT_TOKEN=$(openssl" in done.err
    monkeypatch.setenv("EXTROVERT_TOKEN", TOKEN)
    with home.running("--http", "0.0.0.0:0") as run:
        url = url_of(run).replace("0.0.0.0", "127.0.0.1")
        assert got(f"{url}/ready")[0] == 401
        assert got(f"{url}/ready", TOKEN[:-1])[0] == 401
        assert got(f"{url}/ready", TOKEN)[0] == 200
        done = run.end()
    assert done.code == 0


def test_a_token_is_in_nothing_that_it_says_or_keeps(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNS_TOKEN", TOKEN)
    with home.running("--http", "0", "--user", "ANNS_TOKEN=ann") as run:
        url = url_of(run)
        answers = [got(f"{url}{path}", token) for path in ("/ready", "/nowhere") for token in (TOKEN, f"{TOKEN}x")]
        assert [status for status, _ in answers] == [200, 401, 404, 401]
        done = run.end()
    assert (done.code, done.err) == (0, "")
    kept = b"".join(path.read_bytes() for path in (home.path / ".extrovert").iterdir())
    for said in (run.greeting, url, done.out, str(answers), kept.decode("latin-1")):
        assert TOKEN not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--http", "here"], "--http here names no port. Write it as 8000, 0.0.0.0:8000 or [::]:8000."),
        (["--http", "70000"], "Http: port= must be from 0 (any that is free) to 65535, not 70000."),
        (["--http", "0", "--user", "ann"], "--user names a variable and whose token it holds, each once"),
        (["--http", "0", "--user", "NO_SUCH=ann"], "the environment variable NO_SUCH holds no token."),
        (["--user", "ANNS_TOKEN=ann"], "--user says who asks by HTTP. Say where to listen, too"),
    ],
)
def test_wrong_use_is_told(home: Home, words: list[str], told: str) -> None:
    done = home("run", "airline.py", *words)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
