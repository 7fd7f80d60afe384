"""What runs in the process of a local model: llama.cpp's server, on loopback, for as long as the engine lives.

The first line on its standard input says what is wanted, its only line on standard output what came of it. When its
input closes, the engine is gone, however that went, and it ends too.
"""

from __future__ import annotations

import os
import sys
from threading import Thread
from typing import Any

import msgspec

__all__ = ["Listening", "Wanted", "main"]

NICE = 10
"""How much less this process counts than the engine where both want the processor."""
ERRORS = 1
"""Of what the library logs, only errors: neither prompts nor answers."""


class Wanted(msgspec.Struct):
    """A `file` to be served to those who have the `key`: `at_once` requests at a time, each with so much `context`."""

    file: str
    key: str
    threads: int
    context: int
    at_once: int


class Listening(msgspec.Struct):
    """The address of the API, or the `error` for which there is none."""

    url: str = ""
    error: str = ""


def main() -> None:
    """Serves until standard input closes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints is no answer
    wanted = msgspec.json.decode(sys.stdin.buffer.readline(), type=Wanted)
    alive = Thread(target=_while_the_engine_lives, daemon=True)
    alive.start()
    os.nice(NICE)
    try:
        server = _served(wanted)
        said = Listening(url=f"{server.listening_address}/v1")
    except Exception as error:
        said = Listening(error=str(error) or type(error).__name__)
    out.write(msgspec.json.encode(said) + b"\n")
    out.flush()
    alive.join()


def _served(wanted: Wanted) -> Any:
    import xllamacpp  # pyright: ignore

    library: Any = xllamacpp
    params = library.CommonParams()
    params.model.path = wanted.file
    params.model_alias = [os.path.basename(wanted.file)]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [wanted.key]
    params.n_parallel = wanted.at_once
    params.n_ctx = wanted.at_once * wanted.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = wanted.threads
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0
    params.verbosity = ERRORS
    return library.Server(params)


def _while_the_engine_lives() -> None:
    while sys.stdin.buffer.read(1 << 16):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
