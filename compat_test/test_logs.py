"""The log master: whatever is logged arrives once, whole, where the options say, over rotation, reload, upgrade and stop."""
import gzip
import json
import os
import re
import signal
import threading

import pytest
from apps import ANSWER
from http_client import Broken, eventually, get
from load import Load

PRINTS = f"""
import sys
{ANSWER}
def application(environ, start_response):
    print("print", environ["QUERY_STRING"])
    sys.stderr.write("piece ")
    sys.stderr.flush()
    sys.stderr.write(environ["QUERY_STRING"] + " end\\n")
    sys.stderr.flush()
    return answer(start_response, "done")
"""
WHOLE = PRINTS.replace("    sys.stderr.flush()\n", "", 1)  # the piece waits for its end
WAYS = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)


def text(running, *names):
    """What is in these files, or in all that match."""
    return "".join(path.read_text() for name in names for path in sorted(running.dir.glob(name)))


def numbers(pattern, where):
    return sorted(int(n) for n in re.findall(pattern, where, re.M))


def answered(load):
    return sorted(request.number for request in load.requests if not request.error)


def touch(running, name, seconds):
    """Gives a watched file a time that it has not had; it is watched since all workers serve."""
    eventually(lambda: "spawned uWSGI master process" in text(running, "*.log", "moved-*", "kept-*"))
    os.utime(running.dir / name, (seconds + 1, seconds + 1))


def stop(running):
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


@WAYS
@pytest.mark.parametrize("more", [[], ["--log-master-stream", "--log-master-req-stream"]], ids=["records", "streams"])
def test_nothing_is_lost_over_reloads_and_the_stop(server, transport, more):
    args = ["--master", "--processes", "2", "--logger", "pieces file:pieces.log", "--log-route", "pieces ^piece",
            "--logger", "file:main.log", "--req-logger", "file:req.log", "--log-format", "request %(uri) %(status)", *more]
    # (in a stream nobody can tell pieces of the application's threads from the server's own lines)
    running = server(transport, args, app=WHOLE if more else PRINTS)
    with Load(transport) as load:
        for reload in range(2):
            load.wait_for(200)
            running.signal(signal.SIGHUP)
            eventually(lambda: text(running, "main.log").count("gracefully (RE)spawned") > reload)
        load.wait_for(200)
    assert load.failures() == []
    stop(running)
    sent = answered(load)
    assert numbers(r"^request /\?(\d+) 200$", text(running, "req.log")) == sent
    assert numbers(r"^print (\d+)$", text(running, "main.log")) == sent
    assert numbers(r"^piece (\d+) end$", text(running, "pieces.log")) == sent
    assert len(text(running, "req.log").splitlines()) == len(sent) == len(text(running, "pieces.log").splitlines())
    assert text(running, "main.log").endswith("goodbye to uWSGI.\n")
    assert running.log() == ""


@WAYS
def test_rotation_under_load(server, transport):
    """By command and by touch; backups are put aside before they are replaced."""
    args = ["--master", "--processes", "2", "--logto", "x.log", "--log-backupname", "bak.log",
            "--master-fifo", "fifo", "--touch-logrotate", "touch.me", "--log-format", "request %(uri)"]
    running = server(transport, args, app=PRINTS, files={"touch.me": ""})
    with Load(transport) as load:
        for kept in range(6):
            load.wait_for(100)
            if kept % 2:
                touch(running, "touch.me", kept)
            else:
                (running.dir / "fifo").write_text("L")
            eventually((running.dir / "bak.log").exists)
            (running.dir / "bak.log").rename(running.dir / f"kept-{kept}")
        load.wait_for(100)
    stop(running)
    lines = text(running, "x.log", "bak.log", "kept-*")
    assert numbers(r"^request /\?(\d+)$", lines) == answered(load)
    assert "triggering rotation to bak.log..." in text(running, "kept-0")


@WAYS
def test_rotation_by_size_under_load(server, transport):
    """Names with the time in them: none is used twice."""
    running = server(transport, ["--master", "--processes", "2", "--logto", "x.log", "--log-maxsize", "10000", "--logger", "stdio",
                                 "--logger", "file:logfile=y.log,maxsize=10000", "--log-format", "request %(uri)"], app=PRINTS)
    with Load(transport) as load:
        eventually(lambda: min(len(list(running.dir.glob(name))) for name in ("x.log.*", "y.log.*")) > 2, 20)
    stop(running)
    for name in ("x.log*", "y.log*"):
        assert numbers(r"^request /\?(\d+)$", text(running, name)) == answered(load)


@WAYS
@pytest.mark.parametrize("how", ["fifo", "touch", "reload"])
def test_logrotate_moves_the_file_away_under_load(server, transport, how):
    """Every process goes on in the new file, and no line is lost in between."""
    options = {"fifo": ["--master-fifo", "fifo"], "touch": ["--touch-logreopen", "touch.me"], "reload": ["--log-reopen"]}[how]
    args = ["--master", "--processes", "2", "--logto", "x.log", "--log-format", "request %(uri)", *options]
    running = server(transport, args, app=WHOLE, files={"touch.me": ""})
    with Load(transport) as load:
        for moved in range(3):
            load.wait_for(100)
            (running.dir / "x.log").rename(running.dir / f"moved-{moved}")
            if how == "fifo":
                (running.dir / "fifo").write_text("l")
            elif how == "touch":
                touch(running, "touch.me", moved)
            else:
                running.signal(signal.SIGHUP)
            eventually((running.dir / "x.log").exists)
            if how == "reload":  # the old workers write to the old file until they are gone
                eventually(lambda: text(running, "moved-*", "x.log").count("gracefully (RE)spawned") > moved)
        load.wait_for(100)
    stop(running)
    assert numbers(r"^request /\?(\d+)$", text(running, "moved-*", "x.log")) == answered(load)
    assert numbers(r"^request /\?(\d+)$", text(running, "x.log")) != []
    assert " x.log reopened." in text(running, "x.log")


@WAYS
def test_an_upgrade_takes_the_loggers_along(server, transport):
    args = ["--master", "--processes", "2", "--logger", "file:main.log", "--req-logger", "file:req.log", "--log-format", "request %(uri)"]
    running = server(transport, args, app=PRINTS)
    with Load(transport) as load:
        load.wait_for(100)
        running.signal(signal.SIGUSR2)
        assert running.wait_exit(30) == 0
        load.wait_for(100)
    assert load.failures() == []
    successor = int(re.findall(r"^spawned uWSGI master process \(pid: (\d+)\)", text(running, "main.log"), re.M)[-1])
    os.kill(successor, signal.SIGTERM)
    running.wait_gone()
    assert numbers(r"^request /\?(\d+)$", text(running, "req.log")) == answered(load)
    assert numbers(r"^print (\d+)$", text(running, "main.log")) == answered(load)


@WAYS
def test_encoders_of_each_logger(server, transport):
    args = ["--master", "--logger", "structured file:lines.json", "--logger", "plain file:plain.log", "--logger", "packed file:lines.gz",
            "--log-route", "structured ^{.*}$", "--log-route", "plain ^(?!{)", "--log-route", "packed .",
            "--log-encoder", 'json:structured {"time": ${unix}, "message": "${msg}"}', "--log-encoder", "nl:structured",
            "--log-encoder", "prefix:plain # ", "--log-encoder", "gzip:packed",
            "--log-req-encoder", 'json {"request": "${msg}"}', "--log-req-encoder", "nl"]
    app = PRINTS + """
import json
print(json.dumps({"quoted": 'a "b" \\\\ \\t'}))
print("caf\\u00e9 \\x01")
"""
    running = server(transport, args, app=app, env={"PYTHONIOENCODING": "utf-8"})
    get(transport.port, "/?1")
    stop(running)
    structured = [json.loads(line) for line in text(running, "lines.json").splitlines()]
    assert [json.loads(line["message"])["quoted"] for line in structured] == ['a "b" \\ \t']
    plain = text(running, "plain.log").splitlines()
    assert all(line.startswith("# ") for line in plain)
    assert {"# caf\u00e9 \x01", "# print 1", "# piece 1 end"} <= set(plain)
    packed = gzip.decompress((running.dir / "lines.gz").read_bytes()).decode()
    assert "goodbye to uWSGI." in packed and '{"quoted"' in packed
    requests = [json.loads(line)["request"] for line in running.log().splitlines() if line.startswith('{"request"')]
    assert len(requests) == 1 and "GET /?1 =>" in requests[0]


@WAYS
def test_a_logger_that_reads_nothing_stops_nobody(server, transport):
    """What it does not take is counted and told; requests are answered all the while."""
    app = PRINTS.replace('print("print", environ["QUERY_STRING"])', "print('x' * 20000)")
    running = server(transport, ["--master", "--processes", "2", "--logger", "slow pipe:exec sleep 1000", "--logger", "file:rest.log",
                                 "--log-route", "slow ^xxx", "-L"], app=app)
    with Load(transport) as load:
        load.wait_for(1000, 60)
    assert load.failures() == []
    assert max(request.ended - request.sent for request in load.requests) < 5
    running.signal(signal.SIGTERM)
    assert running.wait_exit(30) == 0
    lost = re.findall(r"^\*\*\* (\d+) log line\(s\) lost: logger slow pipe:exec sleep 1000 did not take them", running.log(), re.M)
    assert sum(map(int, lost)) > 400


@WAYS
def test_children_and_daemons_log_whole_lines(server, transport):
    script = "n=0; while [ $n -lt 100 ]; do printf 'daemon '; printf '%s end\\n' $n; n=$((n+1)); done; " \
             "echo daemon done > /dev/stdout; exec sleep 1000"
    running = server(transport, ["--master", "--processes", "2", "--logger", "file:main.log", "-L", "--attach-daemon", script,
                                 "--hook-as-user", "exec:echo hooked"], app=PRINTS)
    with Load(transport) as load:
        load.wait_for(200)
        eventually(lambda: "\ndaemon done\n" in text(running, "main.log"))
    stop(running)
    lines = text(running, "main.log")
    assert numbers(r"^daemon (\d+) end$", lines) == list(range(100))
    assert numbers(r"^piece (\d+) end$", lines) == answered(load)
    assert "\nhooked\n" in lines


@WAYS
def test_alarms(server, transport):
    app = f"""
import os, signal, uwsgi
{ANSWER}
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/bad":
        print("something bad")
    if path == "/crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path == "/call":
        uwsgi.alarm("save", "from the application")
        uwsgi.alarm("nosuch", "to nobody")
    return answer(start_response, "done")
"""
    running = server(transport, ["--master", "--alarm", "save cmd:cat >> alarms; echo >> alarms", "--alarm", "tell log:",
                                 "--log-alarm", "save,tell bad$", "--alarm-segfault", "save", "--alarm-freq", "60"], app=app)
    for _ in range(3):
        get(transport.port, "/bad")
    get(transport.port, "/call")
    with pytest.raises((OSError, Broken)):
        get(transport.port, "/crash")
    eventually(lambda: "segmentation fault" in text(running, "alarms"))
    stop(running)
    alarms = text(running, "alarms")
    assert alarms.count("something bad\n") == 1  # the same message only once in that time
    assert "from the application\n" in alarms
    assert len(re.findall(r"^\w{3} \w{3} .* - ALARM: something bad$", running.log(), re.M)) == 1


@WAYS
def test_log_files_belong_to_the_user(server, transport):
    if os.getuid() != 0:
        pytest.skip("needs root")
    args = ["--master", "--uid", "nobody", "--gid", "nogroup", "--logger", "file:out/main.log",
            "--logto", "root.log", "--logfile-chown", "--logfile-chmod", "604"]
    running = server(transport, args, app=PRINTS, files={"out/.keep": ""}, ready=False)
    assert running.wait_exit() == 1  # the folder is root's
    assert "out/main.log" in text(running, "root.log") and "*** Starting uWSGI" in text(running, "root.log")
    os.chown(running.dir / "out", 65534, 65534)
    again = server(transport, args, app=PRINTS, files={"out/.keep": ""}, wrapper=["sh", "-c", 'chown nobody out; exec "$@"', "sh"])
    get(transport.port, "/?1")
    stop(again)
    main, root = (again.dir / "out/main.log").stat(), (again.dir / "root.log").stat()
    assert (main.st_uid, main.st_mode & 0o777) == (65534, 0o640)
    assert (root.st_uid, root.st_mode & 0o777) == (65534, 0o604)
    assert "print 1\n" in text(again, "out/main.log") and "*** Starting uWSGI" in text(again, "out/main.log")


@WAYS
def test_a_reload_brings_other_loggers(server, transport):
    site = "[uwsgi]\nmaster = true\nwsgi-file = app.py\nlogger = file:%s\n"
    running = server(transport, ["--ini", "site.ini"], files={"site.ini": site % "one.log", "app.py": PRINTS})
    get(transport.port, "/?1")
    running.write("site.ini", site % "none/two.log")
    running.signal(signal.SIGHUP)
    eventually(lambda: "reload failed" in text(running, "one.log"))
    get(transport.port, "/?2")
    running.write("site.ini", site % "two.log")
    running.signal(signal.SIGHUP)
    eventually(lambda: "gracefully (RE)spawned" in text(running, "one.log", "two.log"))
    get(transport.port, "/?3")
    stop(running)
    assert numbers(r"^print (\d)$", text(running, "one.log")) == [1, 2]
    assert numbers(r"^print (\d)$", text(running, "two.log")) == [3]


@WAYS
def test_long_lines_arrive_whole(server, transport):
    app = PRINTS.replace('print("print", environ["QUERY_STRING"])', "print(environ['QUERY_STRING'], 'y' * 100000)")
    running = server(transport, ["--master", "--processes", "4", "--logger", "file:main.log", "-L"], app=app)
    threads = [threading.Thread(target=lambda n=n: get(transport.port, f"/?{n}")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop(running)
    assert numbers(r"^(\d+) y{100000}$", text(running, "main.log")) == list(range(20))


@WAYS
@pytest.mark.parametrize("more", [[], ["--log-master"], ["--logger", "file:main.log", "--log-drain", "nothing"]],
                         ids=["plain", "log-master", "records"])
def test_the_date_is_before_the_importing_process_lines_too(server, transport, more):
    running = server(transport, ["--master", "--log-date=%Y-%m-%d %H", *more], app=PRINTS)
    eventually(lambda: "spawned uWSGI master process" in text(running, "*.log"))
    lines = [line for line in text(running, "*.log").splitlines() if "Python version" in line or "WSGI app 0" in line]
    assert len(lines) == 2 and all(re.match(r"\d{4}-\d\d-\d\d \d\d - [A-Z]", line) for line in lines)


@WAYS
@pytest.mark.parametrize("option", ["--logto", "--logto2", "--daemonize2"])
def test_a_log_that_is_a_named_pipe_waits_for_no_reader(server, transport, tmp_path, option):
    """The instance serves; a reader that comes later gets what is logged from then on, and may leave again."""
    os.mkfifo(pipe := tmp_path / "pipe")
    running = server(transport, ["--master", option, str(pipe), "--pidfile", "pid"], app=PRINTS)
    assert get(transport.port, "/?early").status == 200
    for turn in ("first", "second"):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        found = b""

        def logged(reader=reader, turn=turn):
            nonlocal found
            assert get(transport.port, f"/?{turn}").status == 200
            try:
                found += os.read(reader, 1 << 16)
            except BlockingIOError:
                pass
            return f"GET /?{turn}".encode() in found

        eventually(logged)
        os.close(reader)
        assert get(transport.port, "/?nobody").status == 200
    os.kill(int((running.dir / "pid").read_text()), signal.SIGTERM)
    running.wait_gone()


@WAYS
@pytest.mark.parametrize("more", [[], ["--log-master-stream"], ["--log-json"]], ids=["records", "stream", "json"])
def test_workers_have_loggers_of_their_own(server, transport, more):
    app = PRINTS.replace("import sys", 'import sys; print("imported")')
    running = server(transport, ["--master", "--worker-logger", "file:worker.log", "--worker-logger-req", "file:requests.log",
                                 "--log-format", "asked %(uri)", "--worker-log-encoder", "prefix # ",
                                 "--worker-log-req-encoder", "suffix !", *more], app=app)
    assert get(transport.port, "/?5").status == 200
    stop(running)
    mine, requests = text(running, "worker.log"), text(running, "requests.log")
    assert all(line.startswith("# ") for line in mine.splitlines() if line)
    assert "print 5" in mine and "piece 5 end" in mine and "imported" not in mine and "asked" not in mine
    assert "asked /?5" in requests and requests.endswith("!") and "print" not in requests
    rest = running.log()
    assert "imported" in rest and "spawned uWSGI worker 1" in rest and "print 5" not in rest and "asked" not in rest
