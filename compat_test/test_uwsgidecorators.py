"""uwsgidecorators on the server itself: what mules do until they are told to end."""
import signal

from http_client import eventually, get

MULES = """
import atexit, os, uwsgi
from uwsgidecorators import *

def note(text):
    fd = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text} {uwsgi.mule_id()}\\n".encode())
    os.close(fd)

@mulemsg(1)
def got(message):
    note(message.decode())
    if message == b"fail":
        raise ZeroDivisionError("of a message")

@mule(2)
def brain():
    '''What it is for.'''
    note("brain")

@mulefunc(2)
def work(data):
    note(len(data))

atexit.register(note, "end")

def application(environ, start_response):
    value = eval(environ["QUERY_STRING"].replace("%20", " "))
    start_response("200 OK", [])
    return [repr(value).encode()]
"""


def test_a_mule_that_loops_over_messages_ends_in_good_order(server, http):
    running = server(http, ["--master", "--mules", "2"], app=MULES)
    running.write("notes", "")

    def notes():
        return (running.dir / "notes").read_text().split("\n")

    assert get(http.port, "/?(uwsgi.mule_msg('one',1),brain.__doc__)").text == "(True, 'What it is for.')"
    eventually(lambda: {"one 1", "brain 2"} <= set(notes()))
    assert get(http.port, "/?work(b'x'*5000)").text == "None"
    eventually(lambda: "5000 2" in notes())
    get(http.port, "/?uwsgi.mule_msg('fail',1)")
    running.wait_log("ZeroDivisionError: of a message")
    get(http.port, "/?uwsgi.mule_msg('two',1)")
    eventually(lambda: "two 1" in notes())  # by another process
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert {"end 1", "end 2"} <= set(notes()) and "SystemExit" not in running.log()
