"""--log-json: whatever is logged, by whomever, is an object on a line of its own; --log-date: every line has the date."""
import json
import re
import signal
from datetime import datetime

import pytest
from http_client import Connection, eventually, get
from server import free_port

APP = """
import json, logging, os, subprocess, sys, traceback
logging.basicConfig(level=logging.INFO)
print("imported")

def everything():
    logging.warning("from logging")
    print(json.dumps({"event": "paid", "amount": 3, "source": "shop"}))
    print("first" + chr(10) + "second")
    sys.stdout.write("half")
    sys.stdout.flush()
    os.write(2, b"\\xff\\x00\\x1b[31m red" + bytes([10]))
    subprocess.run(["sh", "-c", "echo of a child"])
    print("y" * 3000000)
    try:
        try:
            1 / 0
        except ZeroDivisionError:
            {}["missing"]
    except KeyError:
        traceback.print_exc()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/everything":
        everything()
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("refused")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]
"""
SLOW = """    if environ["PATH_INFO"] == "/slow":
        __import__("time").sleep(0.3)
"""
WAY = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def records(running, name="server.log"):
    """All lines of a log, each of which must be an object."""
    return [json.loads(line) for line in (running.dir / name).read_bytes().decode().splitlines()]


def stop(running):
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


def one(found, **members):
    """The only record with these members."""
    same = [record for record in found if all(record.get(name) == value for name, value in members.items())]
    assert len(same) == 1, (members, same)
    return same[0]


@WAY
def test_every_line_is_an_object(server, transport):
    router = free_port()
    running = server(transport, ["--master", "--processes", "2", "--log-json", "--http", f"127.0.0.1:{router}", "--logto", "all.log",
                                 "--attach-daemon", "echo of a daemon; exec sleep 60", "--exec-asap", "echo of a hook"], app=APP)
    with Connection(transport.port) as client:
        client.open()
        client.socket.sendall(b'GET /everything?a="\\ HTTP/1.1\r\nHost: shop\r\nUser-Agent: me\r\nReferer: there\r\n'
                              b"traceparent: 00-" + TRACE.encode() + b"-b7ad6b7169203331-01\r\nConnection: close\r\n\r\n")
        assert client.receive().status == 200
    get(router, "/raise")
    running.signal(signal.SIGHUP)
    for text in ("spawned uWSGI worker 2", '"of a daemon"'):
        eventually(lambda text=text: (running.dir / "all.log").read_text().count(text) == 2)
    stop(running)
    found = records(running, "all.log")
    for record in found:
        assert datetime.fromisoformat(record["time"].replace("Z", "+00:00")).tzinfo and record["level"] and record["source"]
    asked = one(found, source="request", method="GET", uri='/everything?a="\\')
    want = {"status": 200, "bytes": 4, "protocol": "HTTP/1.1", "remote_addr": "127.0.0.1", "host": "shop", "level": "info"}
    assert asked.items() >= {**want, "user_agent": "me", "referer": "there", "trace_id": TRACE}.items()
    assert asked["duration_ms"] > 0 and asked["queue_ms"] >= 0 and asked["worker"] in (1, 2)
    mine = {"source": "app", "pid": asked["pid"], "worker": asked["worker"]}
    one(found, msg="WARNING:root:from logging", level="warning", **mine)
    one(found, msg="paid", amount=3, app_source="shop", **mine)
    one(found, msg="first\nsecond", **mine)
    one(found, msg="half\ufffd\0\x1b[31m red", **mine)
    one(found, msg="y" * 3000000, **mine)
    one(found, msg="of a child", source="app")
    trace = [record for record in found if record.get("msg", "").startswith("Traceback") and "ZeroDivisionError" in record["msg"]]
    assert len(trace) == 1 and trace[0]["msg"].endswith("KeyError: 'missing'")
    assert trace[0].items() >= {"level": "error", **mine}.items()
    one(found, source="request", status=500, level="error", uri="/raise")
    assert len([record for record in found if record["source"] == "app" and record.get("msg", "").endswith("ValueError: refused")]) == 1
    for source, msg in (("daemon", "of a daemon"), ("app", "imported")):  # again with the reload
        assert len([record for record in found if record["source"] == source and record.get("msg") == msg]) == 2
    assert any(record["source"] == "command" and record.get("msg") == "of a hook" for record in found)
    assert len([record for record in found if record["source"] == "zygote" and record["msg"].startswith("WSGI app 0")]) == 2
    assert one(found, source="master", msg="goodbye to uWSGI.")


@WAY
def test_loggers_take_objects_and_are_chosen_by_the_text(server, transport):
    args = ["--log-json", "--logger", "file:main.log", "--logger", "bad file:bad.log", "--log-route", "bad ^WARNING",
            "--req-logger", "file:req.log", "--log-encoder", "prefix:bad @",
            "--log-drain", "^first", "--log-format", '{"path": "%(uri)", "source": "%(method)"}']
    running = server(transport, args, app=APP)
    get(transport.port, "/everything")
    stop(running)
    bad = (running.dir / "bad.log").read_text()
    assert bad.startswith('@{"time":') and json.loads(bad[1:])["msg"] == "WARNING:root:from logging"
    assert not [record for record in records(running, "main.log") if record.get("msg", "").startswith(("first", "WARNING:root"))]
    asked = records(running, "req.log")
    assert len(asked) == 1
    assert asked[0].items() >= {"path": "/everything", "source": "request", "app_source": "GET", "worker": 1, "level": "info"}.items()


@WAY
def test_a_format_that_is_no_json_is_the_text(server, transport):
    running = server(transport, ["--log-json", "--log-format", "%(method) %(uri) %(traceid)"], app=APP)
    get(transport.port, "/x")
    stop(running)
    assert one(records(running), source="request")["msg"] == "GET /x -"


@WAY
def test_reopened_and_rotated_files_hold_objects_only(server, transport):
    running = server(transport, ["--master", "--log-json", "--logto", "all.log", "--master-fifo", "fifo"], app=APP)
    for command, word in (("l", "reopened."), ("L", "triggering rotation")):
        eventually(lambda: "spawned uWSGI master process" in "".join(path.read_text() for path in running.dir.glob("all.log*")))
        with open(running.dir / "fifo", "w") as fifo:
            fifo.write(command)
        eventually(lambda word=word: word in "".join(path.read_text() for path in running.dir.glob("all.log*")))
    stop(running)
    for path in running.dir.glob("all.log*"):
        assert records(running, path.name)


@WAY
def test_the_date_is_on_every_line(server, transport):
    router = free_port()
    app = APP.replace('"y" * 3000000', '"long"').replace("    1 / 0", "    raise OSError").replace("ZeroDivisionError", "OSError")
    running = server(transport, ["--master", "--log-date=%Y-%m-%d", "--http", f"127.0.0.1:{router}",
                                 "--attach-daemon", "echo of a daemon; exec sleep 60", "--exec-asap", "echo of a hook"], app=app)
    get(transport.port, "/everything")
    get(router, "/raise")
    stop(running)
    lines = (running.dir / "server.log").read_bytes().decode(errors="replace").splitlines()
    dated = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d - ", line)]
    others = [line for line in lines if line not in dated]
    assert len(others) == 2 and all(line.startswith("[pid: ") for line in others)  # lines about requests have a date of their own
    for text in ("imported", "WARNING:root:from logging", "first", "second", "of a child", "of a daemon", "of a hook",
                 "KeyError: 'missing'", "ValueError: refused", "goodbye to uWSGI.", "Python version"):
        assert any(text in line for line in dated), text
    assert not any(re.match(r"\d{4}-\d\d-\d\d - \d{4}-\d\d", line) for line in dated)


@WAY
def test_a_request_that_has_waited_says_how_long(server, transport):
    app = APP.replace('    if environ["PATH_INFO"] == "/raise"', SLOW + '    if environ["PATH_INFO"] == "/raise"')
    running = server(transport, ["--log-json"], app=app)
    with Connection(transport.port) as first, Connection(transport.port) as second:
        for client, path in ((first, b"/slow"), (second, b"/next")):
            client.open()
            client.socket.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert first.receive().status == second.receive().status == 200
    stop(running)
    times = {record["uri"]: record for record in records(running) if record["source"] == "request"}
    assert times["/slow"]["duration_ms"] >= 300 and max(times["/slow"]["queue_ms"], times["/next"]["queue_ms"]) >= 100
