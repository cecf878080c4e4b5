"""What is bound at the import may be bound again by the next generation."""
import os
import socket

import pytest

from envoxyd_worker import listeners


@pytest.fixture(autouse=True)
def restored():
    yield
    listeners.restore()


def listen(port=0):
    s = socket.socket()
    s.bind(("127.0.0.1", port))
    s.listen()
    return s


def test_a_port_can_be_bound_twice_while_the_application_is_imported():
    listeners.share()
    with listen() as first, listen(first.getsockname()[1]):
        pass


def test_not_in_children_nor_later():
    listeners.share()
    with listen() as first:
        port = first.getsockname()[1]
        child = os.fork()
        if child == 0:
            try:
                listen(port)
            except OSError:
                os._exit(7)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 7 << 8
        listeners.restore()
        assert "bind" not in socket.socket.__dict__
        with pytest.raises(OSError):
            listen(port)


def test_other_kinds_of_sockets_are_left_alone(tmp_path):
    listeners.share()
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        s.bind(str(tmp_path / "s"))
        u.bind(("127.0.0.1", 0))
        assert u.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
