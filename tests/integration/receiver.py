"""The outside world, in a process of its own: takes in acts on a Unix socket, and keeps each in a file.

`python -m tests.integration.receiver SOCKET FILE`. A line on the socket is a JSON object; one with `lookup` is a
question whether that key was acted on, any other is an act. Each is answered by a line.
"""

from __future__ import annotations

import json
import socketserver
import sys
from pathlib import Path


class Handler(socketserver.StreamRequestHandler):
    done: Path

    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            if "lookup" in request:
                acts = [json.loads(act) for act in self.done.read_text().splitlines()]
                answer = any(act["key"] == request["lookup"] for act in acts)
            else:
                with self.done.open("a") as file:
                    file.write(json.dumps(request) + "\n")
                answer = True
            self.wfile.write(json.dumps(answer).encode() + b"\n")
            self.wfile.flush()


class Server(socketserver.UnixStreamServer):
    request_queue_size = 100


def main() -> None:
    path, Handler.done = sys.argv[1], Path(sys.argv[2])
    Handler.done.touch()
    with Server(path, Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
