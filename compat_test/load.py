"""Load from several threads: every request is kept with its times, so that a test can judge each failure."""
import signal
import threading
import time

from http_client import Broken, Connection, eventually


class Request:
    """One request: when it was sent and answered (monotonic seconds), its status and text, or the error."""

    __slots__ = ("number", "kept", "sent", "ended", "status", "text", "error")

    def __repr__(self):
        outcome = self.error or f"{self.status} {self.text[:60]!r}"
        kind = "kept" if self.kept else "fresh"
        return f"<{kind} request {self.number} sent {self.sent:.3f} took {self.ended - self.sent:.3f}: {outcome}>"


class Load:
    """Runs clients between enter and exit; half of them keep their connections where the transport does."""

    def __init__(self, transport, clients=4, path="/?{number}", timeout=10.0):
        self.transport, self.path, self.timeout = transport, path, timeout
        self.requests, self._stop = [], threading.Event()
        self.texts = {}  # every different answer, in the order in which each was first seen
        keeps = [transport.keeps and index % 2 == 1 for index in range(clients)]
        self._threads = [threading.Thread(target=self._run, args=(index, keep)) for index, keep in enumerate(keeps)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, index, keep):
        connection = Connection(self.transport.port, keep, self.timeout, context=self.transport.context)
        number = index
        while not self._stop.is_set():
            request = Request()
            request.number, request.kept, request.sent = number, keep, time.monotonic()
            request.status, request.text, request.error = 0, "", None
            try:
                reply = connection.get(self.path.format(number=number))
                request.status, request.text = reply.status, reply.text
                if reply.status == 200:
                    self.texts.setdefault(reply.text)
                else:
                    request.error = f"status {reply.status}"
            except (OSError, Broken, ValueError) as error:
                request.error = repr(error)
                connection.close()
            request.ended = time.monotonic()
            self.requests.append(request)
            number += len(self._threads)
            self.between()
        connection.close()

    def between(self):
        """Called between two requests of a client."""

    def failures(self):
        return [request for request in self.requests if request.error]

    def wait_for(self, count, timeout=20.0):
        """Until that many more requests have been answered well."""
        goal = sum(not request.error for request in list(self.requests)) + count
        eventually(lambda: sum(not request.error for request in list(self.requests)) >= goal, timeout)


def at_once(port, paths):
    """The answers to requests that are sent at the same time."""
    clients = [Connection(port, timeout=20) for _ in paths]
    for client, path in zip(clients, paths):
        client.send(path)
    return [client.receive().text for client in clients]


def reloads_under_load(running, transport, path):
    """The Load after three reloads in its midst."""
    with Load(transport, clients=8, path=path) as load:
        for _ in range(3):
            load.wait_for(40)
            running.signal(signal.SIGHUP)
            time.sleep(0.3)
        load.wait_for(100)
    return load


class Several:
    """`count` threads, each with what make() gives it, that do step(made, index) again and again until the block ends.
    `failures` are the errors; a thread ends with its first."""

    def __init__(self, count, make, step):
        self.failures, self.over = [], threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(make, step, index)) for index in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, make, step, index):
        made = make()
        while not self.over.is_set():
            try:
                step(made, index)
            except Exception as error:
                self.failures.append(repr(error))
                return
