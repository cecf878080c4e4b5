"""What the server itself is asked for over the uwsgi protocol: signals, functions, cached values, jobs."""
from ..log import line
from . import cachepackets, rpc, signals, spoolpackets


class Services:
    """answers: by modifier1, called with (modifier2, block, body), which returns all bytes of the answer."""

    def __init__(self, mine):
        self.mine = mine
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
        data = self.data(int(environ["MODIFIER1"]), int(environ["MODIFIER2"]), environ)
        if not data:
            self.mine.request("disconnect")
            return ()
        self.mine.request("send", b"")  # from now on everything is sent by hand: there is no head
        return [data]

    def data(self, modifier1, modifier2, environ):
        """The answer; b"": there is none, and the connection is closed."""
        answer = self.answers.get(modifier1)
        if answer is None:
            line(f"-- unavailable modifier requested: {modifier1} --")
            return b""
        try:
            body = environ["wsgi.input"].read()
        except OSError as error:
            line(f"a packet of modifier {modifier1} has been cut short: {error}")
            return b""
        return answer(modifier2, environ.get("BLOCK", "").encode("latin-1"), body)
