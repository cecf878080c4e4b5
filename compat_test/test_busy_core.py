"""A core that is busy holds up nobody while another one is idle."""
import pytest
from apps import versioned
from http_client import Connection, eventually
from server import free_port
from transports import Transport

SHAPES = {"two workers": ["--processes", "2"], "two threads": ["--threads", "2"]}


def http11_socket():
    port = free_port()
    return Transport("http11-socket", ["--http11-socket", f"127.0.0.1:{port}"], port, True, port)


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_connections_pass_a_busy_core(server, transport, shape):
    passes_a_busy_core(server, transport, SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_connections_pass_a_busy_core_on_http11_socket(server, shape):
    passes_a_busy_core(server, http11_socket(), SHAPES[shape])


def passes_a_busy_core(server, transport, shape):
    """20 kept connections, spread over both cores by chance; one core is held until all of the others are answered."""
    running = server(transport, ["--master", "--disable-logging", *shape], app=versioned(1))
    kept = [Connection(transport.port, keep=transport.keeps, timeout=20) for _ in range(20)]
    for connection in kept:
        assert connection.get().status == 200
    held, quick = kept[0], kept[1:]
    held.timeout = 30
    held.send("/hold/core")
    eventually((running.dir / "held-core").exists)
    for connection in quick:
        connection.send("/")
    assert [connection.receive().status for connection in quick] == [200] * 19
    running.write("release", "")
    held.socket.settimeout(30)
    assert held.receive().status == 200
