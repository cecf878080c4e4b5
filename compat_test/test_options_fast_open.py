"""--tcp-fast-open is an option of the listening sockets, over reloads and upgrades too."""
import signal

import pytest
from http_client import eventually, get
from server import alive, free_port

APP = """
import os, socket

def queue(port):
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as one:
                listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and one.family == socket.AF_INET and one.getsockname()[1] == port:
                    return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN)
        except OSError:
            pass

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"VERSION {queue(int(environ['SERVER_PORT']))}".encode()]
"""


def version(number):
    return APP.replace("VERSION", str(number))


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGUSR2], ids=["reload", "upgrade"])
def test_the_queue_of_fast_open(server, how):
    port = free_port()
    ini = f"[uwsgi]\nmaster = true\npidfile = server.pid\nhttp-socket = 127.0.0.1:{port}\nwsgi-file = app.py\n"
    running = server(None, ["--ini", "a.ini"], files={"a.ini": ini + "tcp-fast-open = 7\n", "app.py": version(1)})
    running.wait_port(port)
    assert get(port).text == "1 7"
    for number, option, want in [(2, "tcp-fast-open = 7", "7"), (3, "tcp-fastopen = 9", "9"), (4, "", "0")]:
        running.write("a.ini", ini + option + "\n")
        running.write("app.py", version(number))
        master = int((running.dir / "server.pid").read_text())
        running.signal_process(master, how)
        eventually(lambda want=f"{number} {want}": get(port).text == want, 20)
        eventually(lambda master=master: how == signal.SIGHUP or not alive(master), 20)


def test_a_kernel_that_has_it_switched_off_is_reported(server):
    with open("/proc/sys/net/ipv4/tcp_fastopen") as setting:
        off = not int(setting.read()) & 2
    running = server(None, ["--http-socket", "127.0.0.1:0", "--tcp-fast-open", "3"], app=APP)
    running.wait_log("spawned uWSGI worker 1")
    assert ("tcp-fast-open has no effect: the kernel has it switched off for servers" in running.log()) is off
