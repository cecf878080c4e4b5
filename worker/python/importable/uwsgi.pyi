"""What import uwsgi gives to an application. Strings that come from it are bytes, but for opt's keys. What fails mostly answers
None; what needs a current request, a master, a mule or a spooler raises without one.

Generated from docs/python_api/uwsgi.txt; `make docs` writes it.
"""
from typing import Any, Callable, Iterator, Literal, Union

Text = Union[str, bytes]

# Who and what
version: bytes
version_info: tuple[int, int, int, int, bytes]
opt: dict[str, Any]
def masterpid() -> int:
    """The master's pid; 0 without `--master`."""
def worker_id() -> int:
    """1 to numproc in a worker, else 0."""
def mule_id() -> int:
    """The number of the mule, else 0."""
def request_id() -> int:
    """How many requests this core has finished."""
def total_requests() -> int:
    """How many all workers have."""
def workers() -> tuple[dict[str, Any], ...]:
    """A dict for each worker: `uwsgi.workers()[0]["respawn_count"]`; the same dicts at each call."""
def ready() -> Literal[True] | None:
    """True once the process serves; None while the application is imported."""
is_a_reload: bool
numproc: int
cores: int
has_threads: int
buffer_size: int
started_on: int
hostname: bytes
loop: bytes | None
mode: bytes
pidfile: bytes
magic_table: dict[bytes, bytes]
sockets: list[int]
unbit: None
def mem() -> tuple[int, int]:
    """Resident and virtual bytes of this process."""
def micros() -> int:
    """The time of day in microseconds."""
# Hooks that an application may set
atexit: Callable[[], Any]
post_fork_hook: Callable[[], Any]
after_req_hook: Callable[[], Any]
spooler: Callable[[dict[Any, Any]], int]
mule_msg_hook: Callable[[bytes], Any]
applications: dict[str, Callable[..., Any]] | None
# Orders to the server
def reload() -> Literal[True] | None:
    """Reload as with SIGHUP; None without a master."""
def stop() -> Literal[True] | None:
    """Stop, with status 0 (in uWSGI 2.1 this is a reload)."""
def log(text: str, /) -> Literal[True]:
    """A line in the server's log."""
def alarm(name: str, message: str, /) -> None:
    """Raise an alarm of `--alarm`."""
def setprocname(name: str, /) -> None:
    """The name that `ps` shows."""
def listen_queue(socket: int = 0, /) -> int:
    """How many connections wait on a socket."""
def logsize() -> int:
    """Bytes in the log file; 0 without one."""
def accepting(accepting: int = 1, /) -> None:
    """For workers of another kind; does nothing."""
def set_warning_message(text: str, /) -> Literal[True]:
    """Kept; nothing shows it."""
# The current request
env: dict[str, Any]
def connection_fd() -> int:
    """The descriptor of the client's connection."""
def disconnect() -> None:
    """The client is answered; the application goes on."""
def set_user_harakiri(seconds: int, /) -> None:
    """Kill the process if it takes longer; 0 disarms."""
def log_this_request() -> None:
    """A line for it even with `--disable-logging`."""
def set_logvar(name: Text, value: Text, /) -> None:
    """For `%(name)` in `--log-format`."""
def get_logvar(name: Text, /) -> bytes | None:
    """What set_logvar() has set."""
def add_var(name: str, value: str, /) -> Literal[True]:
    """For `%(var.NAME)` in `--log-format`."""
def cl() -> int:
    """Its Content-Length."""
def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], None]:
    """As the one that the application was given."""
def send(*fd_and_data: Any) -> Literal[True] | None:
    """`uwsgi.send(data)`: bytes to the client as they are, without a head; `uwsgi.send(fd, data)`: to a descriptor."""
def sendfile(file: Any, chunk: int = 0, pos: int = 0, size: int = 0, /) -> Literal[True] | None:
    """A file, by name or open, as a part of the body; None if it cannot be opened."""
def advanced_sendfile(file: Any, chunk: int = 0, pos: int = 0, size: int = 0, /) -> Literal[True] | None:
    """The same."""
def offload(*args: Any) -> bytes:
    """B"": sending takes no core anyway."""
def chunked_read(timeout: int = 0, /) -> bytes:
    """The next chunk of a body that came in chunks; b"" behind the last."""
def chunked_read_nb() -> bytes | None:
    """The same; all chunks are there before the application is called."""
def route(router: str, args: str, /) -> int:
    """ValueError (never: requests are routed before the application is called)."""
# Locks
def lock(number: int = 0, /) -> None:
    """Wait for lock 0, or one of `--locks`; one whose holder has died is free."""
def unlock(number: int = 0, /) -> None:
    """Give it back."""
def is_locked(number: int = 0, /) -> bool:
    """Whether anybody has it."""
# Caches
def cache_get(key: Text, cache: str | None = None, /) -> bytes | None:
    """The value; None: there is none."""
def cache_set(key: Text, value: Text, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """If there is none yet."""
def cache_update(key: Text, value: Text, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """In any case."""
def cache_del(key: Text, cache: str | None = None, /) -> Literal[True] | None:
    """Remove an item."""
def cache_exists(key: Text, cache: str | None = None, /) -> Literal[True] | None:
    """Whether there is one."""
def cache_clear(cache: str | None = None, /) -> Literal[True] | None:
    """Remove all items."""
def cache_inc(key: Text, by: int = 1, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """A counter of 64 bits; absent is 0."""
def cache_dec(key: Text, by: int = 1, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """Likewise."""
def cache_mul(key: Text, by: int = 2, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """Likewise."""
def cache_div(key: Text, by: int = 2, expires: int = 0, cache: str | None = None, /) -> Literal[True] | None:
    """Likewise; by 0 gives 0."""
def cache_num(key: Text, cache: str | None = None, /) -> int:
    """The value of a counter."""
def cache_keys(cache: str | None = None, /) -> list[bytes]:
    """All keys; ValueError if there is no such cache."""
# Queue
queue_size: int
def queue_push(message: Text, /) -> Literal[True] | None:
    """Into the next slot; what was there is overwritten (--queue)."""
def queue_pull() -> bytes | None:
    """The oldest message (--queue)."""
def queue_pop() -> bytes | None:
    """The newest message (--queue)."""
def queue_get(slot: int, /) -> bytes | None:
    """What is in a slot (--queue)."""
def queue_set(slot: int, message: Text, /) -> Literal[True] | None:
    """Into that slot (--queue)."""
def queue_last(count: int = 0, /) -> bytes | None | list[bytes | None]:
    """The newest, or a list of as many, newest first (--queue)."""
def queue_slot() -> int:
    """Where the next message goes (--queue)."""
def queue_pull_slot() -> int:
    """Where the oldest one is (--queue)."""
# Shared areas
def sharedarea_read(area: int, pos: int, length: int = 0, /) -> bytes:
    """Bytes of an area, to its end without a length (--sharedarea)."""
def sharedarea_write(area: int, pos: int, data: Text, /) -> None:
    """Bytes into it (--sharedarea)."""
def sharedarea_read8(area: int, pos: int, /) -> int:
    """A signed number of 8 bits (--sharedarea)."""
def sharedarea_write8(area: int, pos: int, value: int, /) -> None:
    """0 to 255 (--sharedarea)."""
def sharedarea_read16(area: int, pos: int, /) -> int:
    """16 bits (--sharedarea)."""
def sharedarea_write16(area: int, pos: int, value: int, /) -> None:
    """16 bits (--sharedarea)."""
def sharedarea_read32(area: int, pos: int, /) -> int:
    """32 bits (--sharedarea)."""
def sharedarea_write32(area: int, pos: int, value: int, /) -> None:
    """32 bits (--sharedarea)."""
def sharedarea_read64(area: int, pos: int, /) -> int:
    """64 bits (--sharedarea)."""
def sharedarea_write64(area: int, pos: int, value: int, /) -> None:
    """64 bits (--sharedarea)."""
def sharedarea_inc64(area: int, pos: int, by: int = 1, /) -> None:
    """Add (--sharedarea)."""
def sharedarea_dec64(area: int, pos: int, by: int = 1, /) -> None:
    """Subtract (--sharedarea)."""
def sharedarea_inc32(area: int, pos: int, by: int = 1, /) -> None:
    """Add (--sharedarea)."""
def sharedarea_dec32(area: int, pos: int, by: int = 1, /) -> None:
    """Subtract (--sharedarea)."""
def sharedarea_readbyte(area: int, pos: int, /) -> int:
    """Sharedarea_read8 (--sharedarea)."""
def sharedarea_writebyte(area: int, pos: int, value: int, /) -> None:
    """Sharedarea_write8 (--sharedarea)."""
def sharedarea_readlong(area: int, pos: int, /) -> int:
    """Sharedarea_read64 (--sharedarea)."""
def sharedarea_writelong(area: int, pos: int, value: int, /) -> None:
    """Sharedarea_write64 (--sharedarea)."""
def sharedarea_inclong(area: int, pos: int, by: int = 1, /) -> None:
    """Sharedarea_inc64 (--sharedarea)."""
def sharedarea_rlock(area: int, /) -> None:
    """Share the area's lock (--sharedarea)."""
def sharedarea_wlock(area: int, /) -> None:
    """Have the area's lock alone (--sharedarea)."""
def sharedarea_unlock(area: int, /) -> None:
    """Give it back (--sharedarea)."""
def sharedarea_memoryview(area: int, /) -> memoryview:
    """The area itself, writable (--sharedarea)."""
def sharedarea_object(area: int, /) -> bytearray:
    """The object behind an area of `--py-sharedarea` (--sharedarea)."""
# Metrics
def metric_get(name: str, /) -> int:
    """Its value; 0 if there is none of that name."""
def metric_set(name: str, value: int = 1, /) -> Literal[True] | None:
    """None: there is none of that name."""
def metric_inc(name: str, by: int = 1, /) -> Literal[True] | None:
    """Add."""
def metric_dec(name: str, by: int = 1, /) -> Literal[True] | None:
    """Subtract."""
def metric_mul(name: str, by: int = 1, /) -> Literal[True] | None:
    """Multiply."""
def metric_div(name: str, by: int = 1, /) -> Literal[True] | None:
    """Divide."""
def metric_set_max(name: str, value: int = 1, /) -> Literal[True] | None:
    """If it is larger."""
def metric_set_min(name: str, value: int = 1, /) -> Literal[True] | None:
    """If it is smaller."""
# Signals, timers, monitors
def register_signal(signum: int, target: str, handler: Callable[[int], Any], /) -> None:
    """`uwsgi.register_signal(30, "workers", handler)`."""
def signal(signum: int, node: str = "", /) -> None:
    """Raise one, here or at another server."""
def signal_wait(signum: int = -1, /) -> bytes:
    """Wait until one has come and was handled."""
def signal_received() -> int:
    """Which one that was."""
def signal_registered(signum: int, /) -> Literal[True] | None:
    """Whether the number is taken."""
def add_timer(signum: int, seconds: int, /) -> None:
    """Raise it every so often."""
def add_ms_timer(signum: int, milliseconds: int, /) -> None:
    """Likewise."""
def add_rb_timer(signum: int, seconds: int, iterations: int = 0, /) -> None:
    """Likewise; not more often than iterations."""
def add_cron(signum: int, minute: int, hour: int, day: int, month: int, weekday: int, /) -> Literal[True]:
    """-1: any, -n: every n."""
def add_file_monitor(signum: int, path: str, /) -> None:
    """Raise it when the file or directory changes."""
# Spooler
SPOOL_OK: int
SPOOL_RETRY: int
SPOOL_IGNORE: int
spoolers: tuple[bytes, ...]
def spool(job: dict[bytes, bytes] = ..., **job_by_names: bytes) -> bytes:
    """`uwsgi.spool({b"to": b"ann"})`; the job is on the disk when it returns the file's name (--spooler)."""
def send_to_spooler(job: dict[bytes, bytes] = ..., **job_by_names: bytes) -> bytes:
    """The same (--spooler)."""
def set_spooler_frequency(seconds: int, /) -> Literal[True]:
    """How often spoolers look for jobs (--spooler)."""
def spooler_jobs() -> list[bytes]:
    """Files that wait (--spooler)."""
def spooler_pid() -> int:
    """Of the first spooler (--spooler)."""
def spooler_pids() -> list[int]:
    """Of all of them (--spooler)."""
def spooler_get_task(path: str, /) -> dict[Any, Any] | None:
    """What a file holds, as the spooler function gets it (--spooler)."""
def spooler_dir() -> bytes:
    """This spooler's directory; ValueError elsewhere."""
def i_am_the_spooler() -> Literal[True] | None:
    """Whether this process is one."""
# Mules and farms
def mule_msg(message: Text, mule: int | bytes = 0, /) -> bool:
    """To any mule, to that one, or to a farm; False if too many wait."""
def mule_get_msg(signals: bool = True, farms: bool = True, buffer_size: int = 65536, timeout: int = -1) -> bytes | None:
    """The next message, in a mule; b"" when the time is over."""
def install_mule_msg_hook(function: Callable[[bytes], Any], /) -> None:
    """One more function that is called with each message."""
def mule_file(mule: int = 0, /) -> bytes | None:
    """The script of a mule."""
def mule_msg_recv_size() -> int:
    """Longer messages are cut."""
def farm_msg(farm: str, message: Text, /) -> None:
    """To one mule of a farm."""
def farm_get_msg() -> bytes | None:
    """The next message of this mule's farms."""
def in_farm(farm: str = "", /) -> Literal[True] | None:
    """Whether this mule is in it."""
# RPC
def register_rpc(name: str, function: Callable[..., bytes], argc: int = 0, /) -> Literal[True]:
    """Offer a function of bytes."""
def rpc(node: Text | None, name: bytes, *args: bytes) -> bytes | None:
    """Call one, of another server's too: `uwsgi.rpc("10.0.0.1:3031", b"join", b"a")`."""
def call(name: bytes, *args: bytes) -> bytes | None:
    """Call one of this server's."""
def rpc_list() -> tuple[bytes, ...]:
    """The names of all."""
# Files and sockets
def extract(source: str, /) -> bytes | None:
    """The content of a file, `exec://`, `http://`, `fd://` or `call://`; None if it cannot be read."""
def parsefile(path: str, /) -> dict[bytes, bytes] | None:
    """The variables of a uwsgi packet, a spooler's file for instance."""
def embedded_data(symbol: str, /) -> bytes:
    """ValueError (never: nothing is embedded in the executable)."""
def connect(address: str, timeout: int = 0, /) -> int:
    """A connected descriptor; -1 if that fails."""
def is_connected(fd: int, /) -> bool:
    """Whether it is."""
def recv(fd: int, most: int = 4096, /) -> bytes | None:
    """What has come; None at the end."""
def close(fd: int, /) -> None:
    """Close one; the client's is shut down."""
def send_message(
    address: str | int, modifier1: int, modifier2: int, message: Any, timeout: int = 0, fd: int = -1, cl: int = 0, /
) -> Iterator[bytes]:
    """A packet with a dict or bytes to a server that speaks uwsgi, and cl bytes from fd; the pieces of its answer."""
SymbolsImporter: type
SymbolsZipImporter: type
ZipImporter: type
# Waiting
def wait_fd_read(fd: int, timeout: int = 0, /) -> bytes:
    """B"" once it is readable, or the time is over."""
def wait_fd_write(fd: int, timeout: int = 0, /) -> bytes:
    """Likewise, writable."""
def async_sleep(seconds: float, /) -> bytes:
    """B"" after that time."""
def async_connect(address: str, /) -> int:
    """A descriptor whose connection is on its way; -1 if that fails at once."""
def suspend() -> Literal[True]:
    """Let others run, in a loop engine."""
def green_schedule() -> Literal[True]:
    """The same."""
def ready_fd() -> int:
    """The descriptor that has ended the wait; -1 without a loop engine."""
# WebSockets
def websocket_handshake(key: Text = "", origin: Text = "", proto: Text = "", /) -> None:
    """Answer 101 and make the request a websocket; what is not given is the request's own; OSError if it asks for none."""
def websocket_recv(request_context: Any = None) -> bytes:
    """Wait for the next message; OSError when the client has left."""
def websocket_recv_nb(request_context: Any = None) -> bytes:
    """The next message, b"" if there is none yet; OSError when the client has left."""
def websocket_is_text(request_context: Any = None) -> bool | None:
    """Whether the last message was a text; None before the first (ours)."""
def websocket_send(message: Text, request_context: Any = None) -> None:
    """Send a text; OSError when the client has left."""
def websocket_send_binary(message: Text, request_context: Any = None) -> None:
    """Likewise, binary."""
def websocket_send_from_sharedarea(area: int, pos: int, length: int = 0, /) -> None:
    """Send a part of a shared area as a text; 0: all behind pos."""
def websocket_send_binary_from_sharedarea(area: int, pos: int, length: int = 0, /) -> None:
    """Likewise, binary."""
def request_context() -> Any:
    """Names the request for websocket_* in other threads and greenlets."""
# SNMP
def snmp_set_counter32(oid: int, value: int, /) -> Literal[True] | None:
    """A value from 1 to 100, which SNMP shows at `1.3.6.1.4.1.35156.17.2.OID`; None for other numbers (--snmp)."""
def snmp_set_counter64(oid: int, value: int, /) -> Literal[True] | None:
    """Likewise, with 64 bits (--snmp)."""
def snmp_set_gauge(oid: int, value: int, /) -> Literal[True] | None:
    """Likewise, one that goes up and down (--snmp)."""
def snmp_incr_counter32(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Add, at once in all processes; it wraps around (--snmp)."""
def snmp_incr_counter64(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Add (--snmp)."""
def snmp_incr_gauge(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Add (--snmp)."""
def snmp_decr_counter32(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Subtract; below 0 it wraps around (--snmp)."""
def snmp_decr_counter64(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Subtract (--snmp)."""
def snmp_decr_gauge(oid: int, by: int = 1, /) -> Literal[True] | None:
    """Subtract (--snmp)."""
def snmp_set_community(community: str, /) -> Literal[True]:
    """Who is answered until the next reload, in place of `--snmp-community`; 72 bytes count, and with "" nobody is (--snmp)."""
# Not of this server
def i_am_the_lord(legion: str, /) -> bool:
    """False (never: there are no legions)."""
def lord_scroll(legion: str, /) -> bytes | None:
    """None (never: there are no legions)."""
def scrolls(legion: str, /) -> list[bytes] | None:
    """None (never: there are no legions)."""
