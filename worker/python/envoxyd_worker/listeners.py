"""Sockets that the application binds while it is imported: the next generation binds them too, before this one has gone.

Exporters of metrics are started so, once, in the process that imports. In uWSGI a reload closes their sockets first; here the
old code serves on until the new code is loaded, and a port that it holds would let the import, and so the reload, fail.
"""
import os
import socket
from socket import AF_INET, AF_INET6, SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET

_bind = socket.socket.bind
_importer = 0


def share():
    """From now on TCP sockets that this process binds may be bound once more by the same user (SO_REUSEPORT)."""
    global _importer
    _importer = os.getpid()
    socket.socket.bind = bind


def bind(self, address):
    if os.getpid() == _importer and self.family in (AF_INET, AF_INET6) and self.type == SOCK_STREAM:
        try:
            self.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        except OSError:  # bind() has more to say
            pass
    return _bind(self, address)


def restore():
    """In a worker: bind() is what it was, unless the application has replaced it."""
    if socket.socket.__dict__.get("bind") is bind:
        del socket.socket.bind
