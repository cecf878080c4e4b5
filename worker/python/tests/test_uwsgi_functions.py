"""Functions of the `uwsgi` module that need no server: files, sockets, figures, importers."""
import io
import os
import socket
import struct
import sys
import zipfile

import pytest
from envoxyd_worker import apps, layouts, uwsgi_module
from test_uwsgi_module import SPEC


@pytest.fixture
def uwsgi():
    return uwsgi_module.make(SPEC)


class Request:
    """Stands for the extension, with a request in hand."""

    def __init__(self, body=b"", ends=None, fd=-1):
        self.body, self.ends, self.fd = io.BytesIO(body), ends, fd
        self.sent, self.said, self.logvars = [], [], {}

    def request(self):
        return 0, self.fd, {}, (lambda *args: self.said.append(args)), self.sent.append

    def send(self, data):
        self.sent.append(data)
        return True

    def disconnect(self):
        self.said.append("disconnect")

    def chunks(self):
        return None if self.ends is None else (struct.pack(f"{len(self.ends)}q", *self.ends), self.body)

    def set_logvar(self, name, value):
        self.logvars[name] = value


def in_request(uwsgi, **how):
    request = uwsgi_module.state(uwsgi).extension = Request(**how)
    return request


def packet(pairs, modifier1=0, rest=b""):
    block = b"".join(struct.pack("<H", len(text)) + text for pair in pairs for text in pair)
    return struct.pack("<BHB", modifier1, len(block), 0) + block + rest


def test_extract_reads_what_has_a_name(uwsgi, tmp_path):
    (tmp_path / "a").write_bytes(b"\0content")
    assert uwsgi.extract(str(tmp_path / "a")) == uwsgi.extract(f"file://{tmp_path}/a") == b"\0content"
    assert uwsgi.extract("exec://printf one; printf two") == b"onetwo"
    with open(tmp_path / "a", "rb") as file:
        assert uwsgi.extract(f"fd://{file.fileno()}") == b"\0content"
        os.fstat(file.fileno())  # it is the caller's to close
    uwsgi.register_rpc("up", lambda: b"called")
    assert uwsgi.extract("call://up") == b"called"


@pytest.mark.parametrize("source", ["/nosuch/file", "fd://999", "fd://x", "http://127.0.0.1:1/", "data://0", "sym://x", "call://none"])
def test_what_cannot_be_extracted_is_none(uwsgi, source, capfd):
    assert uwsgi.extract(source) is None
    assert source.startswith("call") or "extract()" in capfd.readouterr().err


@pytest.mark.parametrize(("content", "found"), [
    (packet([(b"k", b"v"), (b"empty", b"")]), {b"k": b"v", b"empty": b""}),
    (packet([(b"k", b"\xff")], 17, b"a body"), {b"k": b"\xff"}),
    (packet([(b"k", b"v")], 5), None),
    (packet([(b"k", b"v")])[:-1], None),
    (packet([(b"odd",)]), None),
    (struct.pack("<BHB", 0, 3, 0) + b"\x05\0x", None),
    (b"", None),
])
def test_parsefile_reads_packets_of_requests_and_spoolers(uwsgi, tmp_path, content, found):
    (tmp_path / "packet").write_bytes(content)
    assert uwsgi.parsefile(str(tmp_path / "packet")) == found


def test_what_is_embedded_nowhere_is_a_value_error(uwsgi):
    with pytest.raises(ValueError):
        uwsgi.embedded_data("symbol")
    with pytest.raises(ValueError):
        uwsgi.SymbolsZipImporter("symbol")
    assert uwsgi.SymbolsImporter().find_spec("anything") is None
    assert (uwsgi.i_am_the_lord("l"), uwsgi.lord_scroll("l"), uwsgi.scrolls("l")) == (False, None, None)
    with pytest.raises(ValueError):
        uwsgi.route("redirect", "/")


def test_modules_come_out_of_a_zip_archive(uwsgi, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("zipped_package/__init__.py", "from . import inner\n")
        archive.writestr("zipped_package/inner.py", "VALUE = __name__\n")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, uwsgi.ZipImporter(str(tmp_path / "z.zip"))])
    import zipped_package

    assert zipped_package.inner.VALUE == "zipped_package.inner"
    assert zipped_package.__file__.endswith("z.zip/zipped_package/__init__.py")
    with pytest.raises(ValueError):
        uwsgi.ZipImporter(str(tmp_path / "none.zip"))


@pytest.mark.parametrize("family", ["tcp", "path", "abstract"])
def test_sockets_as_descriptors(uwsgi, tmp_path, family):
    kind = socket.AF_INET if family == "tcp" else socket.AF_UNIX
    with socket.socket(kind) as listener:
        listener.bind({"tcp": ("127.0.0.1", 0), "path": str(tmp_path / "s"), "abstract": f"\0{tmp_path}"}[family])
        listener.listen(1)
        name = listener.getsockname()
        address = {"tcp": lambda: f"127.0.0.1:{name[1]}", "path": lambda: name, "abstract": lambda: "@" + name[1:].decode()}[family]()
        fd = uwsgi.connect(address, 5)
        assert fd > 0 and os.get_blocking(fd) and not os.get_inheritable(fd)
        peer, _ = listener.accept()
        with peer:
            assert uwsgi.is_connected(fd) is True
            peer.sendall(b"x" * 4106)
            assert uwsgi.recv(fd, 10) == b"x" * 10
            assert uwsgi.recv(fd, 100000) == b"x" * 4096
            assert uwsgi.send(fd, bytearray(b"pong")) is True
            assert peer.recv(10) == b"pong"
            assert uwsgi.close(fd) is None
            assert peer.recv(10) == b""
        assert uwsgi.recv(fd) is None and uwsgi.send(fd, b"x") is None and uwsgi.is_connected(fd) is False and uwsgi.close(fd) is None


def test_the_end_of_a_stream_is_none(uwsgi):
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        assert uwsgi.recv(ours.fileno()) is None


def test_what_cannot_be_connected_is_minus_one(uwsgi):
    assert uwsgi.connect("127.0.0.1:1", 1) == uwsgi.connect("/nosuch/socket") == uwsgi.connect("no.such.host.invalid:1") == -1
    with pytest.raises(TypeError):
        uwsgi.connect(b"127.0.0.1:1")


def test_a_connection_may_be_waited_for(uwsgi):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        fd = uwsgi.async_connect(f"127.0.0.1:{listener.getsockname()[1]}")
        assert not os.get_blocking(fd)
        assert uwsgi.wait_fd_write(fd, 5) == b""
        assert uwsgi.is_connected(fd) is True
        listener.accept()[0].close()
        assert uwsgi.wait_fd_read(fd, 5) == b""
        uwsgi.close(fd)
    assert (uwsgi.suspend(), uwsgi.green_schedule(), uwsgi.ready_fd(), uwsgi.async_sleep(0)) == (True, True, -1, b"")


def test_the_client_is_sent_to_through_the_server_and_never_closed_by_hand(uwsgi):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = in_request(uwsgi, fd=ours.fileno())
        assert uwsgi.send(b"one") is True and uwsgi.send(ours.fileno(), memoryview(b"two")) is True
        assert request.sent == [b"one", b"two"]
        uwsgi.close(ours.fileno())
        assert request.said == ["disconnect"]
        os.fstat(ours.fileno())
    with pytest.raises(TypeError):
        uwsgi.send("text")
    with pytest.raises(TypeError):
        uwsgi.send()


def test_sendfile_sends_a_part_of_a_file_and_closes_it(uwsgi, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789" * 50000)
    request = in_request(uwsgi)
    assert uwsgi.sendfile(str(tmp_path / "f"), 4096, 5, 300000) is True
    assert b"".join(request.sent) == (b"0123456789" * 50000)[5:300005]
    file = open(tmp_path / "f", "rb")
    request.sent.clear()
    assert uwsgi.advanced_sendfile(file, 0, 499998) is True
    assert request.sent == [b"89"] and file.closed
    assert uwsgi.sendfile(os.fsencode(tmp_path / "none")) is None
    reader, writer = os.pipe()
    os.write(writer, b"piped")
    os.close(writer)
    request.sent.clear()
    assert uwsgi.sendfile(reader) is True and request.sent == [b"piped"]
    assert uwsgi.offload("/tmp/x") == b""
    uwsgi.start_response("200 OK", [])
    assert request.said == [("200 OK", [])]


def test_chunks_are_read_as_they_came(uwsgi):
    in_request(uwsgi, body=b"abcdefg" + b"x" * 70000, ends=[3, 7])
    assert [uwsgi.chunked_read(), uwsgi.chunked_read_nb()] == [b"abc", b"defg"]
    assert [len(uwsgi.chunked_read(5)), len(uwsgi.chunked_read())] == [65536, 4464]
    assert uwsgi.chunked_read() == uwsgi.chunked_read() == b""
    request = in_request(uwsgi, body=b"abcdefg", ends=[3, 7])
    request.body.read(2)  # what wsgi.input has given is gone
    assert [uwsgi.chunked_read(), uwsgi.chunked_read()] == [b"c", b"defg"]
    in_request(uwsgi, body=b"plain")
    with pytest.raises(OSError):
        uwsgi.chunked_read()


def test_a_variable_that_is_added_is_for_the_log(uwsgi):
    request = in_request(uwsgi)
    assert uwsgi.add_var("NAME", "value") is True and request.logvars == {"NAME": "value"}
    with pytest.raises(ValueError):
        uwsgi.add_var("NAME", "x" * 4096)
    with pytest.raises(TypeError):
        uwsgi.add_var(b"NAME", "value")


def test_a_message_to_another_server(uwsgi):
    with socket.socket() as listener, open(os.memfd_create("body"), "r+b", buffering=0) as body:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        body.write(b"the body and more")
        body.seek(0)
        answer = uwsgi.send_message(f"127.0.0.1:{listener.getsockname()[1]}", 5, 6, {"k": b"v", b"n": "w"}, 5, body.fileno(), 8)
        peer, _ = listener.accept()
        with peer:
            wanted = struct.pack("<BHB", 5, 12, 6) + packet([(b"k", b"v"), (b"n", b"w")])[4:] + b"the body"
            assert peer.recv(len(wanted), socket.MSG_WAITALL) == wanted
            peer.sendall(b"answered")
        assert b"".join(answer) == b"answered"
    with pytest.raises(OSError):
        uwsgi.send_message("127.0.0.1:1", 0, 0, {})
    with pytest.raises(ValueError):
        uwsgi.send_message("127.0.0.1:1", 0, 0, {"k": "x" * 70000})


def test_small_orders(uwsgi):
    assert uwsgi.accepting() is None and uwsgi.accepting(0) is None
    assert uwsgi.set_warning_message("beware") is True
    with pytest.raises(TypeError):
        uwsgi.set_warning_message(b"beware")


def test_placeholders():
    python = {**SPEC["python"], "magic": {"h": "here", "%": "%", "d": "/\udcff/"}}
    assert uwsgi_module.make({**SPEC, "python": python}).magic_table == {b"h": b"here", b"%": b"%", b"d": b"/\xff/"}
    for opt, mode in (([["mode", "live", False]], b"live"), ([["set", "mode=x", False], ["mode", "x", False]], None), ([], None)):
        assert getattr(uwsgi_module.make({**SPEC, "opt": opt}), "mode", None) == mode


def board_of(*rows):
    """A scoreboard of one core a row, given as dicts."""
    board = os.memfd_create("board")
    for row in rows:
        core = layouts.Core(*[0] * (len(layouts.Core._fields) - 1), b"")._replace(**row)
        os.write(board, layouts.CORE.pack(*core))
    os.ftruncate(board, len(rows) * (layouts.CORE.size + layouts.CORE_TIMING))
    return board


@pytest.mark.parametrize(("core", "status"), [
    ({"pid": 0}, b"cheap"),
    ({"pid": 5, "state": layouts.IDLE}, b"idle"),
    ({"pid": 5, "state": layouts.BUSY}, b"busy"),
    ({"pid": 5, "state": layouts.IDLE, "suspended": 1}, b"pause"),
    ({"pid": 5, "state": layouts.IDLE, "handling": 18}, b"sig17"),
])
def test_what_a_worker_is_at(core, status):
    spec = {**SPEC, "processes": 1, "threads": 1, "cores": 1, "scoreboard_fd": board_of({"worker": 1, **core})}
    assert uwsgi_module.make(spec).workers()[0]["status"] == status


def test_figures_of_a_worker_that_came_again(monkeypatch):
    monkeypatch.setattr(apps, "loaded", [apps.Loaded("", print, 3)])
    rows = [{"worker": 1, "pid": os.getpid(), "requests": 30, "before": 20, "starts": 2, "spawned": 1700, "signals": 4},
            {"worker": 1, "requests": 5, "starts": 1, "spawned": 1600}]
    spec = {**SPEC, "processes": 1, "threads": 1, "cores": 1, "scoreboard_fd": board_of(*rows), "log": {"memory": 1}}
    uwsgi = uwsgi_module.make(spec)
    (one,) = uwsgi.workers()
    assert (one["requests"], one["delta_requests"], one["respawn_count"], one["last_spawn"], one["signals"]) == (35, 10, 2, 1700, 4)
    assert 1 << 20 < one["rss"] < one["vsz"]
    assert uwsgi.workers()[0] is one and uwsgi.workers() is uwsgi.workers()
    assert one["apps"] == ({"id": 0, "modifier1": 0, "mountpoint": b"", "startup_time": 3, "interpreter": id(sys.modules),
                            "callable": id(print), "requests": 35, "exceptions": 0, "chdir": b""},)


def test_each_of_several_applications_has_figures(monkeypatch):
    monkeypatch.setattr(apps, "loaded", [apps.Loaded(point, print, 0) for point in ("", "/a", "/b")])
    spec = {**SPEC, "processes": 2, "threads": 1, "cores": 1, "scoreboard_fd": board_of({"worker": 1, "requests": 9}, {"worker": 2})}
    uwsgi = uwsgi_module.make(spec)
    served = uwsgi_module.state(uwsgi).served
    for _ in range(2):  # the second is another process in the same place
        counts = served.of(2)
        counts.request(1)
        counts.request(2)
        counts.exception(2)
        counts.request(10000)
    served.of(1).request(1)
    one, two = uwsgi.workers()
    assert [(app["requests"], app["exceptions"]) for app in one["apps"]] == [(0, 0), (1, 0), (0, 0)]
    assert [(app["requests"], app["exceptions"]) for app in two["apps"]] == [(0, 0), (2, 0), (2, 2)]
