"""The `uwsgi` module: what applications and their libraries know the server by.

It is an ordinary module object that anybody may write to. What needs the worker
goes through `state`, which the worker fills in after the fork.
"""
import json
import mmap
import os
import re
import signal
import socket
import struct
import time
import types

from . import locks
from .failures import report
from .layouts import BUSY, CORE, Core
from .log import put

ALARM_SIZE = 5000  # characters of a message, so that it fits into one report


class State:
    """This process's part: which worker it is, and its extension once that is loaded."""

    def __init__(self, spec):
        self.spec = spec
        self.worker = 0
        self.importer = 0  # the process that imports the application, for all but lazy-apps
        self.extension = None
        self.ready = False
        self.rpc = {}
        self.signals = {}
        self.locks = locks.Locks(spec["locks_fd"], spec["python"]["locks"])
        self._board = None

    def request(self, name, *args):
        """Calls the extension on behalf of the request in hand."""
        if self.extension is None:
            raise RuntimeError("you are not in a request")
        return getattr(self.extension, name)(*args)

    def rows(self):
        """The scoreboard: rows of lines, a line for each core."""
        if self._board is None:
            size = os.fstat(self.spec["scoreboard_fd"]).st_size
            self._board = mmap.mmap(self.spec["scoreboard_fd"], size, prot=mmap.PROT_READ)
        lines = list(map(Core._make, CORE.iter_unpack(self._board)))
        threads = self.spec["threads"]
        return [lines[n : n + threads] for n in range(0, len(lines), threads)]

    def rows_of(self, worker):
        """Those of one worker, which may have had several processes, and have two for a while."""
        return [row for row in self.rows() if row[0].worker == worker]


class Module(types.ModuleType):
    """Adds `env`, the environ of the running request, which costs nothing until somebody asks."""

    def __getattr__(self, name):
        if name == "env":
            kept = self.__dict__["_state"]
            if kept.extension is not None and kept.spec["threads"] < 2:
                try:
                    return kept.extension.environ()
                except RuntimeError:
                    pass
        raise AttributeError(f"module 'uwsgi' has no attribute {name!r}")


def state(uwsgi):
    return uwsgi.__dict__["_state"]


def run_hook(uwsgi, name):
    """Calls uwsgi.NAME if somebody has set it; its exceptions are printed, not passed on."""
    hook = uwsgi.__dict__.get(name)
    if hook is None:
        return
    try:
        hook()
    except BaseException as error:
        report(error)


def options(spec):
    """uwsgi.opt: True for a bare flag, bytes otherwise, a list for a name given more than once."""
    found = {}
    for name, value, flag in spec["opt"] or ():
        item = True if flag else os.fsencode(value)
        if name not in found:
            found[name] = item
        elif isinstance(found[name], list):
            found[name].append(item)
        else:
            found[name] = [found[name], item]
    service = spec.get("service")
    if service is not None:
        found["conf_content"] = service
    return found


def version_info(text):
    numbers = [int(n) for n in re.findall(r"\d+", text.split("-")[0])][:4]
    numbers += [0] * (4 - len(numbers))
    return (*numbers, text.partition("-")[2].encode())


def make(spec):
    uwsgi = Module("uwsgi")
    uwsgi.__doc__ = None
    mine = State(spec)
    uwsgi.__dict__["_state"] = mine
    uwsgi.__dict__.update(
        version=spec["version"].encode(),
        version_info=version_info(spec["version"]),
        opt=options(spec),
        numproc=spec["processes"],
        cores=spec["threads"],
        has_threads=1,
        buffer_size=spec["limits"]["buffer_size"],
        started_on=spec["started_on"],
        hostname=os.fsencode(spec["python"]["hostname"]),
        loop=None,
        unbit=None,
        applications=None,
        is_a_reload=spec["generation"] > 0,
        magic_table={},
        sockets=[s["fd"] for s in spec["sockets"] or ()],
        SPOOL_OK=-2,
        SPOOL_RETRY=-1,
        SPOOL_IGNORE=0,
    )
    if spec["python"]["pidfile"]:
        uwsgi.pidfile = os.fsencode(spec["python"]["pidfile"])
    for function in functions(uwsgi, mine):
        uwsgi.__dict__[function.__name__] = function
    uwsgi.SymbolsImporter = SymbolsImporter
    return uwsgi


class SymbolsImporter:
    """For code that adds one to sys.meta_path: nothing is embedded here, so it finds nothing."""

    def find_spec(self, name, path=None, target=None):
        return None


def functions(uwsgi, mine):
    return [*identity(mine), *request(mine), *master(mine), *sharing(mine), *absent()]


def identity(mine):
    spec = mine.spec

    def masterpid():
        """While the application is imported, that process itself, as in uWSGI, which imports it in the master."""
        return mine.importer if spec["master_pid"] and mine.importer and not mine.worker else spec["master_pid"]

    def worker_id():
        return mine.worker

    def mule_id():
        return 0

    def log(text):
        if not isinstance(text, str):
            raise TypeError("log() takes a str")
        if "\0" in text:
            raise ValueError("embedded null character")
        try:
            put(text + "\n", "surrogateescape")  # file names as they are
        except UnicodeEncodeError:
            put(text + "\n")
        return True

    def ready():
        return True if mine.ready else None

    def micros():
        return int(time.time() * 1e6)

    def mem():
        with open("/proc/self/statm") as statm:
            size, resident = statm.read().split()[:2]
        page = os.sysconf("SC_PAGE_SIZE")
        return int(resident) * page, int(size) * page

    def logsize():
        try:
            return os.stat(spec["log"]["file"] or 2).st_size
        except OSError:
            return 0

    def alarm(name, message):
        if not isinstance(name, str) or not isinstance(message, str):
            raise TypeError("alarm() takes two strs")
        if spec["event_fd"] < 0:
            raise OSError("alarm() is for workers, not for processes that they fork")
        event = {"kind": "alarm", "worker": mine.worker, "pid": os.getpid(), "option": name, "text": message[:ALARM_SIZE]}
        os.write(spec["event_fd"], json.dumps(event).encode())

    def setprocname(name):
        from . import procname

        if not isinstance(name, str):
            raise TypeError("setprocname() takes a str")
        procname.set(name)

    def workers():
        rows = mine.rows()
        return tuple(worker_dict(mine, n, [row for row in rows if row[0].worker == n]) for n in range(1, spec["processes"] + 1))

    def total_requests():
        return sum(core.requests for row in mine.rows() for core in row)

    return [masterpid, worker_id, mule_id, log, alarm, ready, micros, mem, logsize, setprocname, workers, total_requests]


def worker_dict(mine, number, rows):
    lines = [core for row in rows for core in row]
    requests = sum(core.requests for core in lines)
    micros = sum(core.micros for core in lines)
    busy = any(core.state == BUSY for core in lines)
    return {
        "id": number,
        "pid": next((core.pid for core in lines if core.pid), os.getpid() if number == mine.worker else 0),
        "requests": requests,
        "delta_requests": requests,
        "signals": 0,
        "exceptions": sum(core.exceptions for core in lines),
        "status": b"busy" if busy else b"idle",
        "rss": 0,
        "vsz": 0,
        "running_time": micros,
        "last_spawn": mine.spec["started_on"],
        "respawn_count": 0,
        "tx": sum(core.sent for core in lines),
        "avg_rt": micros // requests if requests else 0,
        "apps": (),
    }


def request(mine):
    def request_id():
        core = mine.request("core")
        return sum(row[core].requests for row in mine.rows_of(mine.worker))

    def connection_fd():
        return mine.request("connection_fd")

    def disconnect():
        mine.request("disconnect")

    def set_user_harakiri(seconds):
        if not isinstance(seconds, int):
            raise TypeError("set_user_harakiri() takes an int")
        mine.request("user_harakiri", seconds)

    def log_this_request():
        mine.request("log_this_request")

    def set_logvar(name, value):
        mine.request("set_logvar", name, value)

    def get_logvar(name):
        return mine.request("get_logvar", name)

    def cl():
        text = re.match(r"\d*", mine.request("environ").get("CONTENT_LENGTH", "")).group()
        return int(text or 0)

    return [request_id, connection_fd, disconnect, set_user_harakiri, log_this_request, set_logvar, get_logvar, cl]


def master(mine):
    pid = mine.spec["master_pid"]

    def tell(number):
        if not pid:
            return None
        os.kill(pid, number)
        return True

    def reload():
        return tell(signal.SIGHUP)

    def stop():
        return tell(signal.SIGTERM)

    def listen_queue(number=0):
        fds = [s["fd"] for s in mine.spec["sockets"] or ()]
        if not 0 <= number < len(fds):
            raise ValueError("no such socket")
        with socket.socket(fileno=os.dup(fds[number])) as listener:
            if listener.family == socket.AF_UNIX:
                return 0
            info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        return struct.unpack_from("<I", info, 24)[0]  # tcpi_unacked of a listener is its queue

    return [reload, stop, listen_queue]


def sharing(mine):
    def lock(number=0):
        mine.locks.acquire(number)

    def unlock(number=0):
        mine.locks.release(number)

    def is_locked(number=0):
        return mine.locks.held(number)

    def register_rpc(name, function, argc=0):
        if not isinstance(name, str) or not callable(function):
            raise TypeError("register_rpc() takes a str and a callable")
        if len(name) > 254 or (len(mine.rpc) >= 64 and name not in mine.rpc):
            raise ValueError("rpc name too long or table full")
        mine.rpc[name.encode()] = function
        return True

    def call(name, *args):
        if not isinstance(name, bytes) or not all(isinstance(a, bytes) for a in args):
            raise ValueError("call() takes bytes")
        function = mine.rpc.get(name)
        if function is None:
            return None
        try:
            result = function(*args)
        except Exception as error:
            report(error)
            return None
        return result if isinstance(result, bytes) and result else None

    def rpc(node, name, *args):
        if node not in (None, "", b""):
            raise OSError("rpc() to another node is not there yet")
        return call(name, *args)

    def rpc_list():
        return tuple(mine.rpc)

    return [lock, unlock, is_locked, register_rpc, call, rpc, rpc_list]


def absent():
    """What there is nothing behind, as in a uWSGI that was not configured for it."""

    def nothing(name):
        def function(*args, **kwargs):
            return None

        function.__name__ = name
        return function

    def missing(name, error, what):
        def function(*args, **kwargs):
            raise error(f"uwsgi.{name}(): {what}")

        function.__name__ = name
        return function

    silent = ["cache_get", "cache_set", "cache_update", "cache_del", "cache_exists", "cache_clear", "cache_inc", "cache_dec",
              "cache_mul", "cache_div", "in_farm", "i_am_the_spooler", "metric_set", "metric_inc", "metric_dec"]
    later = {
        "cache_keys": (ValueError, "no cache available"),
        "mule_msg": (ValueError, "no mule configured"),
        "mule_get_msg": (ValueError, "you can receive mule messages only in a mule"),
        "farm_get_msg": (ValueError, "you can receive farm messages only in a mule"),
        "spool": (ValueError, "the spooler is not there yet"),
        "register_signal": (ValueError, "signals are not there yet"),
        "signal": (ValueError, "signals are not there yet"),
        "add_timer": (ValueError, "timers are not there yet"),
        "add_rb_timer": (ValueError, "timers are not there yet"),
        "add_cron": (ValueError, "cron is not there yet"),
        "add_file_monitor": (ValueError, "file monitors are not there yet"),
        "websocket_handshake": (OSError, "websockets are not there yet"),
        "websocket_recv": (OSError, "websockets are not there yet"),
        "websocket_recv_nb": (OSError, "websockets are not there yet"),
        "websocket_send": (OSError, "websockets are not there yet"),
        "websocket_send_binary": (OSError, "websockets are not there yet"),
    }

    def signal_registered(number):
        if not isinstance(number, int):
            raise TypeError("signal_registered() takes an int")
        return None

    def install_mule_msg_hook(function):
        if not callable(function):
            raise TypeError("install_mule_msg_hook() takes a callable")

    def metric_get(name):
        return 0

    unavailable = [missing(name, *how) for name, how in later.items()]
    return [*map(nothing, silent), *unavailable, signal_registered, install_mule_msg_hook, metric_get]

