"""The kernel wakes one worker for a connection. If that one is killed before it accepts, another one serves."""
import time

import pytest
from apps import ANSWER
from http_client import get

# In worker 1, once it is armed, a thread waits for connections as the worker itself does, and has it killed when it is woken.
# Its successor takes long to come.
APP = f"""
import os, select, signal, threading, time, uwsgi
{ANSWER}
def application(environ, start_response):
    return answer(start_response, "served")

def victim():
    while not os.path.exists("armed"):
        time.sleep(0.01)
    waiting = select.epoll()
    waiting.register(uwsgi.sockets[0], select.EPOLLIN | select.EPOLLEXCLUSIVE)
    waiting.poll()
    os.kill(os.getpid(), signal.SIGKILL)

if os.path.exists("armed"):
    time.sleep(30)
if uwsgi.worker_id() == 1:
    threading.Thread(target=victim, daemon=True).start()
"""


def test_what_a_killed_worker_was_woken_for_is_served(server, way):
    running = server(way, ["--master", "-p", "2", "--lazy-apps", "--enable-threads"], app=APP)
    running.wait_log("spawned uWSGI worker 2")
    get(way.port)
    running.write("armed", "")
    for _ in range(100):
        assert get(way.port, timeout=5).text == "served"
        if "died, killed by signal 9" in running.log():
            return
        time.sleep(0.03)  # longer than the time after which workers change places in the kernel's queue
    pytest.fail("the victim was never woken")
