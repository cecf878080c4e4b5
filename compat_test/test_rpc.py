"""Functions of other processes and servers, and whatever else comes in packets of the uwsgi protocol's services."""
import random
import socket
import struct
import time

import pytest
from asking import APP, ask, exchange, notes, packet, strings
from http_client import eventually
from load import Several
from server import alive, free_port
from transports import http_socket

FUNCTIONS = APP + """
def hello(*args):
    return b"hello " + b" ".join(args)
uwsgi.register_rpc("hello", hello)
uwsgi.register_rpc("size", lambda text: str(len(text)).encode())
uwsgi.register_rpc("large", lambda size: b"x" * int(size))
uwsgi.register_rpc("text", lambda: "a str")
uwsgi.register_rpc("nothing", lambda: None)
uwsgi.register_rpc("empty", lambda: b"")
uwsgi.register_rpc("broken", lambda: 1 / 0)
uwsgi.register_rpc("pid", lambda: str(os.getpid()).encode())
"""


class Peer:
    """A server with both ways in."""

    def __init__(self, server, app=FUNCTIONS, args=(), **rest):
        self.way, self.port = http_socket(), free_port()
        self.running = server(self.way, ["--master", "--socket", f"127.0.0.1:{self.port}", *(args or ("-p", "1"))], app=app, **rest)
        self.running.wait_port(self.port)
        self.node = f"127.0.0.1:{self.port}"

    def ask(self, expression):
        return ask(self.way, expression)

    def exchange(self, data):
        return exchange(self.port, data)


def test_functions_of_the_own_process(server):
    peer = Peer(server)
    assert peer.ask("uwsgi.rpc_list()") == (b"hello", b"size", b"large", b"text", b"nothing", b"empty", b"broken", b"pid")
    assert peer.ask("[uwsgi.call(b'hello', b'a', b'b'), uwsgi.rpc(None, b'hello'), uwsgi.rpc('', b'hello', b'c')]") == [
        b"hello a b", b"hello ", b"hello c"]
    assert peer.ask("[uwsgi.call(name) for name in (b'text', b'nothing', b'empty', b'none', b'broken', b'size')]") == [None] * 6
    assert "ZeroDivisionError" in peer.running.log()
    for wrong in ("uwsgi.call('hello')", "uwsgi.call(b'hello', 'x')", "uwsgi.rpc('', 'hello')", "uwsgi.rpc(1, b'hello')"):
        assert peer.ask(f"""exec("try: {wrong}\\nexcept ValueError: raised = True\\nelse: raised = False", globals()) or raised""") is True


def test_functions_of_another_server(server):
    one, other = Peer(server), Peer(server)
    assert int(one.ask(f"uwsgi.rpc('{other.node}', b'pid')")) == other.ask("os.getpid()")
    assert one.ask(f"uwsgi.rpc(b'{other.node}', b'hello', b'a', b'', b'b')") == b"hello a  b"
    assert one.ask(f"len(uwsgi.rpc('{other.node}', b'large', b'65535'))") == 65535
    assert one.ask(f"len(uwsgi.rpc('{other.node}', b'large', b'65536'))") == 65536
    assert one.ask(f"len(uwsgi.rpc('{other.node}', b'large', b'30000000'))") == 30000000
    for name in ("text", "nothing", "empty", "none", "broken"):
        assert one.ask(f"uwsgi.rpc('{other.node}', b'{name}')") is None
    assert one.ask(f"uwsgi.rpc('127.0.0.1:{free_port()}', b'hello')") is None
    assert other.ask("1") == 1


def test_arguments_may_fill_a_packet(server):
    one, other = Peer(server), Peer(server, args=("-p", "1", "--buffer-size", "65535"))
    assert one.ask(f"uwsgi.rpc('{other.node}', b'size', b'x' * 60000)") == b"60000"
    assert one.ask(f"uwsgi.rpc('{other.node}', b'size', b'x' * (65535 - 2 - 4 - 2))") == b"65527"
    assert other.ask(f"uwsgi.rpc('{one.node}', b'size', b'x' * 60000)") is None  # --buffer-size 4096
    assert one.ask("1") == 1


def test_there_are_as_many_functions_as_rpc_max_says(server):
    app = APP + """
for n in range(5):
    uwsgi.register_rpc(f"f{n}", lambda: b"1")
uwsgi.register_rpc("f0", lambda: b"again")
try:
    uwsgi.register_rpc("more", lambda: b"1")
    full = False
except ValueError:
    full = True
"""
    peer = Peer(server, app=app, args=("-p", "1", "--rpc-max", "5"))
    assert peer.ask("full, uwsgi.call(b'f0')") == (True, b"again")


def test_a_worker_may_register_functions_of_its_own(server):
    peer = Peer(server)
    assert peer.ask("uwsgi.register_rpc('late', lambda: b'mine')") is True
    assert peer.exchange(packet(173, strings(b"late"))) == packet(173, b"mine")


SIZES = (*range(20), 255, 256, 4094, 4095, 4096, 4097, 65535)
NONSENSE = [b"\0", b"\xff", b"\xff\xff", b"\x05\0abc", b"\0\0", b"\0\0\0\0", b"\xff" * 4096, b"\0" * 4096, b"\x01\0" * 2048,
            strings(b"none"), strings(b"hello", b"\xff" * 4000),
            strings(b"cmd", b"get", b"key"), strings(b"cmd", b"\xff\xfe", b"key", b"\0"),
            strings(b"cmd", b"set", b"key", b"k", b"size", b"-1"), strings(b"cmd", b"set", b"key", b"k", b"size", b"9" * 30),
            strings(b"cmd", b"inc", b"key", b"k", b"by", b"x"), strings(b"cmd", b"set", b"key", b"k", b"size", b"1" + b"0" * 18),
            strings(b"size", b"x", b"CONTENT_LENGTH", b"9" * 18), strings(b"CONTENT_LENGTH", b"-5", b"priority", b"../../x"),
            strings(b"spooler", b"/etc", b"a", b"b"), strings(b"at", b"x" * 100, b"priority", b"9" * 100)]


@pytest.mark.parametrize("modifier", [17, 110, 111, 173])
def test_nonsense_ends_its_own_connection_alone(server, modifier):
    app = APP + "uwsgi.register_rpc('hello', lambda *args: b'hello')\n"
    peer = Peer(server, app, args=("-p", "1", "--spooler", "jobs", "--cache2", "name=c,items=20"))
    pid = peer.ask("os.getpid()")
    dice = random.Random(modifier)
    blocks = [*NONSENSE, *(byte * size for byte in (b"\0", b"\1", b"\xff") for size in SIZES)]
    for _ in range(300):
        block = bytearray(dice.choice(NONSENSE))
        for _ in range(dice.randrange(4)):
            if block:
                block[dice.randrange(len(block))] = dice.randrange(256)
        blocks.append(bytes(block[: dice.randrange(len(block) + 1)]))
    for block in blocks:
        with socket.create_connection(("127.0.0.1", peer.port), 10) as client:
            try:
                client.sendall(packet(modifier, block, dice.choice([0, 1, 2, 5, 17, 255])))
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except TimeoutError:
                raise
            except OSError:
                pass  # it is closed before all was read that was sent
    assert peer.ask("os.getpid()") == pid
    for said in ("Traceback", "internal error", "panic"):
        assert said not in peer.running.log()
    assert not [path for path in peer.running.dir.rglob("*") if path.is_file() and "jobs" not in path.parts
                and path.name not in ("server.log", "app.py")]


def test_packets_that_do_not_come_hold_nobody_up(server):
    peer = Peer(server, args=("-p", "1", "--socket-timeout", "2"))
    waiting = []
    for data in (b"\xad", packet(173, strings(b"hello"))[:6], struct.pack("<BHB", 173, 4000, 0), struct.pack("<BHB", 17, 10, 0) + b"x"):
        client = socket.create_connection(("127.0.0.1", peer.port), 10)
        client.sendall(data)
        waiting.append(client)
    begin = time.monotonic()
    assert peer.ask("1") == 1 and time.monotonic() - begin < 1.5
    assert peer.exchange(packet(173, strings(b"hello"))) == packet(173, b"hello ")
    for client in waiting:  # and are given up
        try:
            assert client.recv(10) == b""
        except ConnectionResetError:
            pass
        client.close()


def test_an_answer_that_nobody_reads_holds_nobody_up(server):
    peer = Peer(server, args=("-p", "1", "--socket-timeout", "3"))
    waiting = []
    for _ in range(5):
        client = socket.socket()
        client.settimeout(30)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", peer.port))
        client.sendall(packet(173, strings(b"large", b"10000000")))
        waiting.append(client)
    begin = time.monotonic()
    assert peer.ask("1") == 1 and time.monotonic() - begin < 2.5
    whole = b"".join(iter(lambda: waiting[0].recv(1 << 20), b""))  # slowly, but it reads
    assert whole == packet(173, strings(b"CONTENT_LENGTH", b"10000000"), 5) + b"x" * 10000000
    for client in waiting:
        client.close()
    assert peer.ask("1") == 1


def test_many_clients_at_once(server):
    peer = Peer(server, args=("-p", "2", "--threads", "2"))

    def call(_, index):
        assert peer.exchange(packet(173, strings(b"hello", b"%d" % index))) == packet(173, b"hello %d" % index)
        assert peer.ask("uwsgi.call(b'hello')") == b"hello "
    served = []
    with Several(4, lambda: None, lambda made, index: (call(made, index), served.append(index))) as several:
        eventually(lambda: len(served) > 400 or several.failures, 30)
    assert not several.failures


REMOTE = """
import os, uwsgi
uwsgi.register_rpc("hello", lambda *args: b"hello " + b" ".join(args))
uwsgi.register_rpc("large", lambda size: b"x" * int(size))
def heard(number):
    open("heard", "a").write(f"{number}\\n")
uwsgi.register_signal(5, "worker", heard)
def run(env):
    open("ran", "ab").write(env[b"name"] + b" " + env.get("body", b"") + b"\\n")
    return uwsgi.SPOOL_OK
uwsgi.spooler = run
def application(environ, start_response):
    from urllib.parse import unquote
    body = repr(eval(unquote(unquote(environ["PATH_INFO"][1:])))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("real", ["server", "client"])
def test_it_speaks_with_uwsgi(server, uwsgi, real):
    """The reference as the one that asks, and as the one that is asked: functions, signals, caches, jobs."""
    args = ("-p", "1", "--spooler", "jobs", "--spooler-frequency", "1", "--cache2", "name=c,items=20", "--buffer-size", "32768",
            "--die-on-term", "--need-app")
    asked = Peer(server, REMOTE, args, **({"binary": uwsgi} if real == "server" else {}))
    asking = Peer(server, REMOTE, args, **({"binary": uwsgi} if real == "client" else {}))
    node = asked.node
    assert asking.ask(f"uwsgi.rpc('{node}', b'hello', b'a', b'b')") == b"hello a b"
    assert asking.ask(f"len(uwsgi.rpc('{node}', b'large', b'60000'))") == 60000
    assert asking.ask(f"uwsgi.rpc('{node}', b'none')") is None
    assert asking.ask(f"uwsgi.signal(5, '{node}')") is None
    eventually(lambda: notes(asked.running, "heard") == ["5"])
    if real == "client":
        assert asking.ask(f"len(uwsgi.rpc('{node}', b'large', b'200000'))") == 200000
    cache = f"c@{node}"
    assert asking.ask(f"[uwsgi.cache_set('k', 'v', 0, '{cache}'), uwsgi.cache_get('k', '{cache}')]") == [True, b"v"]
    assert asking.ask(f"uwsgi.cache_exists('k', '{cache}')") is True
    assert asked.ask("uwsgi.cache_get('k', 'c')") == b"v"
    assert asking.ask(f"[uwsgi.cache_update('k', 'x' * 30000, 9, '{cache}'), len(uwsgi.cache_get('k', '{cache}'))]") == [True, 30000]
    assert asking.ask(f"uwsgi.cache_del('k', '{cache}')") is True
    assert asked.ask("uwsgi.cache_get('k', 'c')") is None
    assert asked.exchange(packet(17, strings(b"name", b"from the net"))) == b"\xff\x00\x00\x01"
    eventually(lambda: [line.strip() for line in notes(asked.running, "jobs/ran")] == ["from the net"])
    assert alive(asked.running.pid) and alive(asking.running.pid)
