"""Requests by ZeroMQ: names that import until the connector is there."""
from ..unavailable import Unavailable

Dispatcher = Unavailable(f"{__name__}.Dispatcher", "the ZeroMQ connector")
ZMQ = Unavailable(f"{__name__}.ZMQ", "the ZeroMQ connector")


class ZMQException(Exception):
    """A request that failed."""


class NoSocketException(Exception):
    """A server did not answer in time."""
