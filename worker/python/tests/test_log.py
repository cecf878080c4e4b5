"""Our own lines reach descriptor 2 or are lost; nothing that the application does to its streams stands in their way."""
import io
import os
import socket
import sys
import threading

import pytest
from envoxyd_worker import log


@pytest.fixture(autouse=True)
def nothing_lost_before(monkeypatch):
    monkeypatch.setattr(log, "told", log.lost)


class Raising:
    def write(self, text):
        raise OSError

    def flush(self):
        raise SystemExit


@pytest.fixture
def full(monkeypatch):
    """Lines go to a device that is full; returns the counter's value before."""
    fd = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(log, "FD", fd)
    yield log.lost
    os.close(fd)


@pytest.mark.parametrize("mark", ["", "\0"])
def test_a_mark_begins_each_line_of_ours(monkeypatch, mark):
    reader, writer = os.pipe()
    monkeypatch.setattr(log, "FD", writer)
    monkeypatch.setattr(log, "mark", mark)
    assert log.line("a line")
    assert log.put("another")
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == mark + "a line\nanother"


@pytest.mark.parametrize("write", [lambda fd, text: log.put(text), lambda fd, text: print(text, end="", file=stream_on(fd), flush=True)],
                         ids=["ours", "print"])
def test_what_is_too_long_for_a_record_goes_in_pieces(monkeypatch, write):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    monkeypatch.setattr(log, "FD", theirs.fileno())
    text = "é" * 300_000 + "\n"
    found = []
    reader = threading.Thread(target=lambda: found.extend(iter(lambda: ours.recv(1 << 20), b"")))
    reader.start()
    write(theirs.fileno(), text)
    theirs.shutdown(socket.SHUT_WR)
    reader.join()
    assert len(found) > 1 and b"".join(found).decode() == text
    ours.close()
    theirs.close()


def stream_on(fd):
    return io.TextIOWrapper(io.BufferedWriter(log.Descriptor(fd, "<stdout>")), encoding="utf-8")


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(65536))
    except BlockingIOError:
        return writer  # its reader stays open until the tests end


@pytest.mark.parametrize("open_it", [closed_pipe, full_pipe, lambda: os.open("/dev/full", os.O_WRONLY), lambda: 9999],
                         ids=["no reader", "no room", "full", "closed"])
def test_what_cannot_be_written_is_counted(monkeypatch, open_it):
    fd, before = open_it(), log.lost
    monkeypatch.setattr(log, "FD", fd)
    assert log.line("text") is False
    assert log.lost == before + 1


def test_the_log_says_what_is_missing(monkeypatch, capfd):
    monkeypatch.setattr(log, "lost", 0)
    monkeypatch.setattr(log, "told", 0)
    monkeypatch.setattr(log, "FD", 9999)
    log.line("a")
    log.line("b")
    monkeypatch.setattr(log, "FD", 2)
    log.line("c")
    log.line("d")
    assert capfd.readouterr().err == f"c\n*** 2 writes to the log of process {os.getpid()} have failed ***\nd\n"


def test_lines_do_not_go_through_what_the_application_can_replace(monkeypatch, capfd):
    monkeypatch.setattr(os, "write", None)
    monkeypatch.setattr(sys, "stderr", Raising())
    monkeypatch.setattr("builtins.print", None)
    assert log.line("a \udc80 line") is True
    log.errors.write("and another\n")
    assert capfd.readouterr().err == "a \\udc80 line\nand another\n"


@pytest.mark.parametrize("stream", [None, Raising(), object(), io.TextIOWrapper(io.BytesIO())])
def test_flush_takes_any_stream(monkeypatch, stream):
    if isinstance(stream, io.TextIOWrapper):
        stream.detach()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.delattr(sys, "stderr")
    log.flush()


def test_wsgi_errors_is_a_text_stream_of_whole_lines(capfd):
    errors = log.ErrorStream()
    assert errors.write("a") == 1
    errors.writelines(["b\n", "c"])
    assert capfd.readouterr().err == "ab\n"
    errors.flush()
    errors.close()
    print("after", "close", file=errors)
    assert capfd.readouterr().err == "cafter close\n"
    errors.write("x" * log.LONGEST)
    assert capfd.readouterr().err == "x" * log.LONGEST
    with pytest.raises(TypeError):
        errors.write(b"bytes")
    assert (errors.writable(), errors.closed, errors.encoding, errors.fileno(), errors.isatty()) == (True, False, "utf-8", 2, False)


def test_what_wsgi_errors_holds_back_is_written_at_the_end(capfd):
    import threading

    threads = [threading.Thread(target=log.errors.write, args=(text,)) for text in ("of one, ", "of another")]
    for thread in threads:
        thread.start()
        thread.join()
    log.flush()
    log.flush()
    assert capfd.readouterr().err == "of one, of another"


def test_wsgi_errors_loses_lines_rather_than_requests(full):
    errors = log.ErrorStream()
    errors.write("line\n")
    assert log.lost == full + 1


def test_print_does_not_fail_for_a_full_log(full):
    stream = io.TextIOWrapper(io.BufferedWriter(log.Descriptor(log.FD, "<stdout>")), line_buffering=True)
    print("line", file=stream)
    stream.write("x" * 100000)
    stream.flush()
    assert log.lost > full
    assert stream.buffer.raw.name == "<stdout>"
    stream.close()
    os.fstat(log.FD)  # the descriptor is not the stream's


def test_the_streams_that_applications_find(tmp_path):
    """They are as Python makes them, but for line buffering: encoding, error handler, names, buffer."""
    import subprocess

    source = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(log.__file__))!r})
from envoxyd_worker import log
def facts():
    return [(s.encoding, s.errors, s.name, s.mode, s.fileno(), s.isatty(), s is o)
            for s, o in ((sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__))]
before = facts()
log.open_streams()
assert before == facts(), (before, facts())
assert sys.stdout.line_buffering and sys.stdout.buffer.raw.fileno() == 1
sys.stdout.buffer.write(b"bytes\\n")
print("text")
import os
log.flush()
os._exit(0)
"""
    for unbuffered in ("", "1"):
        environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environ)
        assert (done.stdout, done.stderr, done.returncode) == ("bytes\ntext\n", "", 0)
