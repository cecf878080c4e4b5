"""Files that are sent without the application, beside uWSGI where it is right; the server's own error answers."""
import email
import os
import socket

import pytest
from http_client import Connection, eventually, get
from protocols import Sockets, rest_of, status, stdout
from server import Server, free_port

APP = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError
    start_response("200 OK", [("Content-Length", "3")])
    return [b"app"]
"""

FILES = {"pub/a.txt": "0123456789", "pub/sub/index.html": "index", "pub/a.txt.zst": "ZST", "pub/a.txt.gz": "GZ",
         "pub2/secret.txt": "secret", "pub/large.bin": "x" * 3_000_000}


def ask(port, path, method="GET", **headers):
    """The status line's number, the header, the body."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{lines}\r\n".encode())
        head, _, body = rest_of(client).partition(b"\r\n\r\n")
    fields = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    return status(head), fields, body


@pytest.fixture
def site(server, way):
    def start(args=(), files=None):
        return server(way, ["--static-map", "/s=pub", *args], app=APP, files={**FILES, **(files or {})}), way.port
    return start


# Where uWSGI has nothing to be ashamed of: (path, header fields).
SAME = [
    ("/s/a.txt", {}), ("/s/none.txt", {}), ("/s/sub", {}), ("/s/sub/", {}), ("/s", {}), ("/s/a.txt/", {}), ("/s/" + "x" * 300, {}),
    ("/s/../pub2/secret.txt", {}), ("/s/a.txt", {"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    ("/s/a.txt", {"If_Modified_Since": "Fri, 01 Jan 1999 00:00:00 GMT"}), ("/s/a.txt", {"Range": "bytes=2-4"}),
    ("/s/a.txt", {"Range": "bytes=-3"}), ("/s/a.txt", {"Range": "bytes=7-"}), ("/s/a.txt", {"Range": "bytes=0-99"}),
]


def test_files_are_answered_as_by_uwsgi(site, uwsgi):
    """Status, body and header, but for what is better here: a Vary, a length of nothing."""
    args = ["--honour-range", "--static-index", "index.html"]
    one, port = site(args)
    reference_port = free_port()
    reference = Server(["--http-socket", f"127.0.0.1:{reference_port}", "--wsgi-file", "app.py", "--static-map", "/s=pub", *args],
                       files={**FILES, "app.py": APP}, binary=uwsgi).start()
    try:
        reference.wait_port(reference_port)
        for name in FILES:
            for where in (one, reference):
                os.utime(where.dir / name, (1_700_000_000, 1_700_000_000))
        for path, headers in SAME:
            for method in ("GET", "HEAD"):
                ours, theirs = (ask(where, path, method, **headers) for where in (port, reference_port))
                for _, fields, _ in (ours, theirs):
                    fields.pop("Connection", None)
                if method == "HEAD":  # uWSGI sends the application's body then, and parts of files, which are GET's alone
                    assert ours[2] == b"" and ("Range" in headers or ours[:2] == theirs[:2]), (path, headers)
                else:
                    assert ours == theirs, (path, headers)
    finally:
        reference.close()


def test_conditions_and_ranges(site):
    one, port = site(["--honour-range", "--static-gzip-all"])
    assert ask(port, "/s/a.txt", If_None_Match="*")[0] == 304
    code, fields, body = ask(port, "/s/a.txt", If_Match='"tag"')
    assert (code, fields["Content-Length"], body) == (412, "0", b"")
    assert ask(port, "/s/a.txt", If_Unmodified_Since="Fri, 01 Jan 1999 00:00:00 GMT")[0] == 412
    code, fields, body = ask(port, "/s/a.txt", Range="bytes=50-")
    assert (code, fields["Content-Range"], fields["Content-Length"], body) == (416, "bytes */10", "0", b"")
    assert ask(port, "/s/a.txt", Range="bytes=0-1,8-9")[::2] == (200, b"0123456789")
    assert ask(port, "/s/a.txt", Range="bytes=2-3,4-5")[::2] == (206, b"2345")
    code, fields, body = ask(port, "/s/a.txt", Accept_Encoding="gzip;q=0.5, zstd")
    assert (fields["Content-Encoding"], fields["Vary"], body) == ("zstd", "Accept-Encoding", b"ZST")


LETTERS = "".join(chr(97 + i % 26) for i in range(1_000_000))


def parts(fields, body):
    """The parts of an answer with several ranges: what each is of, and its bytes."""
    message = email.message_from_bytes(b"Content-Type: " + fields["Content-Type"].encode() + b"\r\n\r\n" + body)
    assert message.get_content_type() == "multipart/byteranges" and int(fields["Content-Length"]) == len(body)
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
@pytest.mark.parametrize("more", [[], ["--disable-sendfile"], ["--route", "^/s/ addheader:X-Routed: yes"]],
                         ids=["plain", "copied", "routed"])
def test_several_ranges(site, size, more):
    _, port = site(["--honour-range", *more], files={"pub/letters.txt": LETTERS})
    ranges = [(500_000, 500_000 + size - 1), (100, 100 + size - 1)]
    code, fields, body = ask(port, "/s/letters.txt", Range="bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))
    assert code == 206
    assert parts(fields, body) == [(f"bytes {a}-{b}/1000000", LETTERS[a:b + 1].encode()) for a, b in ranges]
    assert fields.get("X-Routed") == ("yes" if "--route" in more else None)


def test_several_ranges_on_a_kept_connection(site):
    _, port = site(["--honour-range"], files={"pub/letters.txt": LETTERS})
    with Connection(port, keep=True) as connection:
        connection.open()
        for _ in range(3):
            connection.socket.sendall(b"GET /s/letters.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-99999,200000-399999\r\n\r\n")
            assert connection.receive().status == 206


@pytest.mark.parametrize("protocol", ["uwsgi", "fastcgi"])
def test_several_ranges_in_every_protocol(server, protocol):
    class Get(Sockets):
        def variables(self, size):
            return [*super().variables(size), ("REQUEST_METHOD", "GET"), ("HTTP_RANGE", "bytes=0-99999,200000-299999")][1:]

    sockets = Get(server, APP, ["--static-map", "/s=pub", "--honour-range"], files={"pub/letters.txt": LETTERS})
    sockets.path = "/s/letters.txt"
    answer = sockets.post(protocol, b"")
    if protocol == "fastcgi":
        answer, whole = stdout(answer)
        assert whole
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line)
    assert parts(fields, body) == [(f"bytes {a}-{a + 99999}/1000000", LETTERS[a:a + 100000].encode()) for a in (0, 200000)]


def test_hostile_paths(site):
    one, port = site()
    os.mkfifo(one.dir / "pub/fifo")
    (one.dir / "pub/null").symlink_to("/dev/null")
    (one.dir / "pub/out").symlink_to("../pub2/secret.txt")
    for path in ("/s/..%2fpub2/secret.txt", "/s/%2e%2e/pub2/secret.txt", "/s/a.txt%00", "/s/a.txt%00.html", "/s/fifo", "/s/null",
                 "/s/out", "/sa.txt", "/s/" + "y/" * 1500):
        code, _, body = ask(port, path)
        assert (code, body) == (200, b"app") or code == 400, path
    one.wait_log(r"\[uwsgi-fileserve\] security error: .*/pub2/secret\.txt is not under .*/pub or a safe path")


def test_a_file_that_shrinks_ends_the_connection(site):
    one, port = site()
    with Connection(port, receive_buffer=4096) as client:
        client.send("/s/large.bin")
        first = client.socket.recv(1000)
        assert b"Content-Length: 3000000" in first
        os.truncate(one.dir / "pub/large.bin", 1000)
        client.socket.settimeout(10)
        received = len(first)
        try:
            while part := client.socket.recv(1 << 20):
                received += len(part)
        except ConnectionResetError:
            pass
        assert received < 3_000_000
    one.write("pub/large.bin", "y" * 100)
    assert get(port, "/s/large.bin").text == "y" * 100


def test_files_that_sendfile_does_not_read(site):
    """Those of /proc: the kernel has no sendfile(2) for them, and their size is 0."""
    one, port = site(["--static-map", "/p=/proc/self", "--static-safe", "/proc"])
    assert get(port, "/p/status").status == 200


PAGES = {"404.html": "<h1>not there</h1>", "500.html": "<h1>broken</h1>"}


def test_pages_for_the_servers_own_answers(server, way):
    """The first that can be read; also without an application, and where the application raises."""
    args = ["--error-page-500", "none.html", "--error-page-500", "500.html", "--error-page-404", "404.html"]
    one = server(way, args, app=APP, files=PAGES)
    code, fields, body = ask(way.port, "/raise")
    assert (code, fields["Content-Type"], body) == (500, "text/html", b"<h1>broken</h1>")
    assert ask(way.port, "/raise", "HEAD")[::2] == (500, b"")
    one.write("500.html", "<h1>changed</h1>")
    assert ask(way.port, "/raise")[2] == b"<h1>changed</h1>"
    (one.dir / "500.html").unlink()
    code, fields, body = ask(way.port, "/raise")
    assert (code, fields["Content-Type"], body) == (500, "text/plain", b"Internal Server Error")


def test_pages_beside_uwsgi(server, uwsgi, way):
    """Where there is no application, both send the page."""
    server(way, ["--set", "need-app=false", "--error-page-500", "500.html"], files=PAGES)
    port = free_port()
    reference = Server(["--http-socket", f"127.0.0.1:{port}", "--error-page-500", "500.html"], files=PAGES, binary=uwsgi).start()
    try:
        reference.wait_port(port)
        assert ask(way.port, "/") == ask(port, "/")
    finally:
        reference.close()


def test_a_page_that_is_not_there_is_told(server, way):
    one = server(way, ["--error-page-403", "nowhere.html"], app=APP)
    eventually(lambda: "error-page-403: there is no file nowhere.html" in one.log())
