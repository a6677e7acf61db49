"""Headless Chromium, driven through the pipes of its DevTools protocol."""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
TIMEOUT = 60.0  # seconds that an answer may take
# Chromium reads commands from this descriptor, and writes answers to the next.
COMMANDS, ANSWERS = 3, 4


class Tab:
    """One tab: commands and their answers, and the events in between.

    Parameters
    ----------
    commands, answers : int
        Descriptors to write to and to read from. Messages are JSON, each ended by a zero byte.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._commands, self._answers = commands, answers
        self._number, self._session, self._buffer = 0, "", b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command.

        Raises
        ------
        RuntimeError
            If the answer is an error.
        TimeoutError
            If there is none.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = self._read(deadline)
            if answer.get("id") != self._number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def wait(self, event: str) -> None:
        """Return once an event of that name has come."""
        deadline = time.monotonic() + TIMEOUT
        while not any(entry.get("method") == event for entry in self.events):
            self.events.append(self._read(deadline))

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, which may be a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            if not ready:
                raise TimeoutError("Chromium gave no answer in time")
            part = os.read(self._answers, 2**20)
            if not part:
                raise RuntimeError("Chromium has gone")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Tab]:
    """A tab of a browser of its own, with an empty profile; both are gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        inner_commands, commands = os.pipe()
        answers, inner_answers = os.pipe()
        # Beyond the two that they are to become, so that neither overwrites the other.
        inner = [fcntl.fcntl(d, fcntl.F_DUPFD, 10) for d in (inner_commands, inner_answers)]

        def arrange() -> None:
            os.dup2(inner[0], COMMANDS)
            os.dup2(inner[1], ANSWERS)

        run = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(COMMANDS, ANSWERS),
            preexec_fn=arrange,
        )
        for descriptor in (inner_commands, inner_answers, *inner):
            os.close(descriptor)
        try:
            yield Tab(commands, answers)
        finally:
            os.close(commands)
            os.close(answers)
            run.terminate()
            try:
                run.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                run.kill()
                run.communicate()
