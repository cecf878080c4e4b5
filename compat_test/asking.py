"""An application that evaluates what it is asked, and notes what happens in files; the questions to it."""
import ast
import socket
import struct
import urllib.parse

from apps import ANSWER
from http_client import Connection, eventually

# note() adds a line to a file in one write, whichever process it is in; heard() is a signal handler that notes where it ran.
APP = f"""
import os, sys, time, uwsgi
from urllib.parse import unquote
{ANSWER}
def note(text, file="notes"):
    fd = os.open(os.path.join(HOME, file), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (text + "\\n").encode())
    os.close(fd)

def where():
    return f"worker{{uwsgi.worker_id()}}" if uwsgi.worker_id() else f"mule{{uwsgi.mule_id()}}" if uwsgi.mule_id() else "spooler"

def heard(number):
    note(f"{{number}} {{where()}}")

def until(name):
    while not os.path.exists(os.path.join(HOME, name)):
        time.sleep(0.01)

HOME = os.getcwd()
VERSION = 1

def application(environ, start_response):
    return answer(start_response, repr(eval(unquote(environ["PATH_INFO"][1:]), globals())))
"""


def ask(transport, expression, timeout=30):
    """The value of a Python expression in some worker."""
    with Connection(transport.port, timeout=timeout) as connection:
        reply = connection.get("/" + urllib.parse.quote(urllib.parse.quote(expression, safe=""), safe=""))
    assert reply.status == 200, (expression, reply.status, reply.text)
    return ast.literal_eval(reply.text)


def ask_worker(transport, number, expression):
    """The value of the expression in that worker; it is evaluated nowhere else."""
    return eventually(lambda: ask(transport, f"({expression},) if uwsgi.worker_id() == {number} else None"))[0]


def notes(running, file="notes"):
    """The lines of a file that processes of the server write; none before there is one."""
    path = running.dir / file
    return path.read_text().splitlines() if path.exists() else []


def handled_at(running, number, count=1, timeout=10.0):
    """Where the signal was handled, once it was count times."""
    def places():
        found = [line.split()[1] for line in notes(running) if line.split()[0] == str(number)]
        return len(found) >= count and found
    return eventually(places, timeout)


def quietly(way, expression):
    """None where the worker has been killed meanwhile."""
    try:
        return ask(way, expression)
    except Exception:
        return None


def exchange(port, data, timeout=10.0):
    """All that comes on a connection for these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


def packet(modifier1, block=b"", modifier2=0):
    """A packet of the uwsgi protocol."""
    return struct.pack("<BHB", modifier1, len(block), modifier2) + block


def strings(*texts):
    """Byte strings as an array in such a packet."""
    return b"".join(struct.pack("<H", len(text)) + text for text in texts)
