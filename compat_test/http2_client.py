"""An HTTP/2 client with its hands on frames, on the library h2: streams, windows and resets are the test's own business."""
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated, DataReceived, InformationalResponseReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived,
)
from sites import client


class Gone(Exception):
    """The connection has ended."""


class Connection(H2Connection):
    """The library takes GOAWAY for the end, while streams that there are go on (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, frame):
        event = ConnectionTerminated()
        event.error_code, event.last_stream_id, event.additional_data = frame.error_code, frame.last_stream_id, frame.additional_data
        return [], [event]


class Stream:
    """What has come on a stream."""

    def __init__(self):
        self.status, self.headers, self.body, self.trailers, self.early = None, {}, b"", {}, []
        self.ended, self.reset = False, None

    @property
    def done(self):
        return self.ended or self.reset is not None


class Http2:
    """A connection to a Site. With reads=False windows are not opened again by themselves."""

    def __init__(self, site, reads=True, settings=None, timeout=10, context=None):
        context = context or client()
        context.set_alpn_protocols(["h2"])
        self.socket = site.connect(context=context, timeout=timeout)
        assert self.socket.selected_alpn_protocol() == "h2"
        loose = H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2, self.reads, self.timeout = Connection(loose), reads, timeout
        if settings:
            self.h2.local_settings.update(settings)
            self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.streams, self.goaway = {}, None
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def start(self, path="/", method="GET", more=(), end=True, flush=True):
        """The number of a new stream."""
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        head = [(":method", method), (":scheme", "https"), (":authority", "site"), (":path", path), *more]
        self.h2.send_headers(number, head, end_stream=end)
        if flush:
            self.flush()
        return number

    def send(self, number, data, end=False):
        """Data, as the windows allow."""
        while True:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
            if room or not data:
                self.h2.send_data(number, data[:room], end_stream=end and room == len(data))
                self.flush()
                data = data[room:]
                if not data:
                    return
            else:
                self.pump()

    def reset(self, number, flush=True):
        self.h2.reset_stream(number, 8)
        if flush:
            self.flush()

    def pump(self):
        """One reading."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise Gone(f"after {self.goaway}")
        for event in self.h2.receive_data(data):
            self._note(event)
        self.flush()

    def _note(self, event):
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
            return
        stream = self.streams.get(getattr(event, "stream_id", None))
        if stream is None:
            return
        if isinstance(event, ResponseReceived):
            stream.headers = dict(event.headers)
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, InformationalResponseReceived):
            stream.early.append(dict(event.headers))
        elif isinstance(event, DataReceived):
            stream.body += event.data
            if self.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            stream.trailers = dict(event.headers)
        elif isinstance(event, StreamEnded):
            stream.ended = True
        elif isinstance(event, StreamReset):
            stream.reset = event.error_code

    def until(self, check):
        """Reads until check() returns something true."""
        limit = time.monotonic() + self.timeout
        while not (value := check()):
            assert time.monotonic() < limit, "it does not come"
            self.pump()
        return value

    def wait(self, number):
        """The stream, when it has ended."""
        stream = self.streams[number]
        self.until(lambda: stream.done)
        return stream

    def ask(self, path="/", method="GET", more=(), body=None):
        number = self.start(path, method, more, end=body is None)
        if body is not None:
            self.send(number, body, end=True)
        return self.wait(number)
