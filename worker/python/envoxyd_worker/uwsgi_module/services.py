"""What the server itself is asked for over the uwsgi protocol: signals, functions, cached values, jobs."""
import os
import socket

from ..log import line
from . import cachepackets, rpc, signals, spoolpackets


class Services:
    """answers: by modifier1, called with (modifier2, block, body), which returns all bytes of the answer."""

    def __init__(self, mine, timeout):
        self.mine, self.timeout = mine, timeout
        self.answers = {
            signals.MODIFIER: self.raise_signal,
            cachepackets.MODIFIER1: cachepackets.answer_cache,
            spoolpackets.MODIFIER: lambda modifier2, block, body: spoolpackets.answer_spool(mine, block, body),
            rpc.MODIFIER: lambda modifier2, block, body: rpc.answer(mine, block),
        }

    def raise_signal(self, modifier2, block, body):
        self.mine.tell("raise", signal={"number": modifier2})
        return signals.ACCEPTED

    def __call__(self, environ, start_response):
        """What a worker calls in place of the application. The answer goes out as it is, with no head before it."""
        modifier1, modifier2 = int(environ["MODIFIER1"]), int(environ["MODIFIER2"])
        answer = self.answers.get(modifier1)
        try:
            if answer is None:
                line(f"-- unavailable modifier requested: {modifier1} --")
                return ()
            try:
                body = environ["wsgi.input"].read()
            except OSError as error:
                line(f"a packet of modifier {modifier1} has been cut short: {error}")
                return ()
            data = answer(modifier2, environ.get("BLOCK", "").encode("latin-1"), body)
            if data:
                self.send(data)
        finally:
            self.mine.request("disconnect")
        return ()

    def send(self, data):
        with socket.socket(fileno=os.dup(self.mine.request("connection_fd"))) as client:
            client.settimeout(self.timeout)
            try:
                client.sendall(data)
            except OSError as error:
                line(f"an answer of {len(data)} bytes over the uwsgi protocol was not taken: {error}")
            client.setblocking(False)  # the file description is shared with the worker
