"""uwsgi.snmp_*: results, exceptions and what stands in memory."""
import os
import struct

import pytest
from envoxyd_worker.layouts import SNMP_COUNTER32, SNMP_COUNTER64, SNMP_FIRST, SNMP_GAUGE
from test_shared_memory import in_child, make


class Values:
    def __init__(self):
        self.fd = os.memfd_create("metrics")
        os.ftruncate(self.fd, (SNMP_FIRST + 200) * 128)

    def __getitem__(self, number):
        """(kind, value) of one."""
        value, kind = (struct.unpack("<Q", os.pread(self.fd, 8, (SNMP_FIRST + 2 * number - 2 + n) * 128))[0] for n in (0, 1))
        return kind, value


@pytest.fixture
def values():
    return Values()


@pytest.fixture
def uwsgi(values):
    return make(more={"snmp": True, "snmp_fd": values.fd})


def test_they_are_there_with_the_option_only():
    assert not [name for name in vars(make()) if name.startswith("snmp")]
    checked = make(more={"snmp": True})  # --check: there is no memory
    assert len([name for name in vars(checked) if name.startswith("snmp")]) == 10
    assert checked.snmp_set_gauge(1, 2) is True and checked.snmp_incr_gauge(101) is None


def test_values_and_kinds(uwsgi, values):
    for call, kind, value in (
        ("set_counter32(1, 5)", SNMP_COUNTER32, 5),
        ("set_counter32(1, 2**32 + 6)", SNMP_COUNTER32, 6),
        ("set_counter64(1, -1)", SNMP_COUNTER64, 2**64 - 1),
        ("incr_counter64(1)", SNMP_COUNTER64, 0),
        ("set_counter64(100, 2**64 + 2**63)", SNMP_COUNTER64, 2**63),
        ("set_gauge(2, 3)", SNMP_GAUGE, 3),
        ("incr_counter32(2, 2)", SNMP_COUNTER32, 5),
        ("decr_gauge(2, 6)", SNMP_GAUGE, 2**64 - 1),
        ("incr_gauge(2, -2)", SNMP_GAUGE, 2**64 - 3),
        ("decr_counter64(3)", SNMP_COUNTER64, 2**64 - 1),
        ("decr_counter32(4, -4)", SNMP_COUNTER32, 4),
        ("set_gauge(True, True)", SNMP_GAUGE, 1),
        ("incr_counter64(5, 2**64)", SNMP_COUNTER64, 0),
        ("set_gauge(6, 2**70)", SNMP_GAUGE, 0),
    ):
        assert eval(f"uwsgi.snmp_{call}") is True, call
        assert values[eval(call.partition("(")[2].split(",")[0].rstrip(")"))] == (kind, value), call
    assert values[50] == (0, 0)


@pytest.mark.parametrize("operation", ["set", "incr", "decr"])
@pytest.mark.parametrize("kind", ["counter32", "counter64", "gauge"])
def test_what_is_refused(uwsgi, operation, kind):
    function = getattr(uwsgi, f"snmp_{operation}_{kind}")
    assert function.__name__ == f"snmp_{operation}_{kind}" and function.__doc__ is None
    for number in (0, 101, 255):
        assert function(number, 1) is None
    for number in (-1, 256, 2**70):
        with pytest.raises(OverflowError):
            function(number, 1)
    for arguments in ((), ("a", 1), (1.5, 1), (1, "a"), (1, 1.5), (1, None), (1, 2, 3)):
        with pytest.raises(TypeError):
            function(*arguments)
    with pytest.raises(TypeError):
        function(oid=1, value=2)


def test_processes_share_them(uwsgi, values):
    assert uwsgi.snmp_set_counter64(7, 1)
    assert in_child(lambda: uwsgi.snmp_incr_counter64(7, 2))
    assert values[7] == (SNMP_COUNTER64, 3)


def test_a_community_is_told_to_the_master(uwsgi, monkeypatch):
    told = []
    monkeypatch.setattr(uwsgi._state, "tell", lambda kind, **more: told.append((kind, bytes.fromhex(more["text"]))))
    for community, bytes_of_it in (("one", b"one"), ("", b""), ("x" * 73, b"x" * 72), ("é", "é".encode())):
        assert uwsgi.snmp_set_community(community) is True
        assert told.pop() == ("snmp-community", bytes_of_it)
    for wrong in ((), (1,), (b"x",), (None,), ("a", "b")):
        with pytest.raises(TypeError):
            uwsgi.snmp_set_community(*wrong)
    with pytest.raises(ValueError):
        uwsgi.snmp_set_community("a\0b")
    assert not told
