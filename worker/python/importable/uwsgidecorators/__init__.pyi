"""What import uwsgidecorators gives; it needs --master. from uwsgidecorators import * brings uwsgi along.

Generated from docs/python_api/uwsgidecorators.txt; `make docs` writes it.
"""
from typing import Any, Callable, TypeVar

import uwsgi as uwsgi

F = TypeVar("F", bound=Callable[..., Any])

# After the fork
def postfork(f: Any, /) -> Any:
    """`@postfork`, or `@postfork(2)` for worker 2: run the function in each process after the fork."""
postfork_chain: list[Callable[[], Any]]
def postfork_chain_hook() -> None:
    """Runs it; it is uwsgi.post_fork_hook."""
# Signals and timers
def timer(secs: int, *, target: str = "", signum: int | None = None) -> Callable[[F], F]:
    """`@timer(60, target="spooler")`."""
def mstimer(msecs: int, *, target: str = "", signum: int | None = None) -> Callable[[F], F]:
    """In milliseconds."""
def rbtimer(secs: int, *, target: str = "", signum: int | None = None) -> Callable[[F], F]:
    """As timer."""
def cron(
    minute: int, hour: int, day: int, month: int, dayweek: int, *, target: str = "", signum: int | None = None
) -> Callable[[F], F]:
    """`@cron(59, 3, -1, -1, -1)`: every night at 03:59."""
def filemon(fsobj: str, *, target: str = "", signum: int | None = None) -> Callable[[F], F]:
    """`@filemon("/etc/app.conf")`: when it changes."""
def signal(num: int, target: str = "") -> Callable[[F], F]:
    """`@signal(17)`: when somebody calls uwsgi.signal(17)."""
def get_free_signal() -> int:
    """The lowest number that is not taken."""
# Spooler
def spool(f: Any = None, pass_arguments: bool = False) -> Any:
    """`@spool`: a call of the function becomes a job (--spooler)."""
def spoolraw(f: Any = None, pass_arguments: bool = False) -> Any:
    """Likewise; what the function returns decides (--spooler)."""
def spoolforever(f: Any = None, pass_arguments: bool = False) -> Any:
    """Likewise; the job is run again and again (--spooler)."""
spooler_functions: dict[str, Callable[..., Any]]
def manage_spool_request(job: dict[Any, Any], /) -> int:
    """Runs a job; it is uwsgi.spooler."""
# Mules and farms
def mulefunc(f: Any, /) -> Any:
    """`@mulefunc`, `@mulefunc(1)` or `@mulefunc(b"farm")`: a call of the function is run by a mule."""
def mule(num: int, /) -> Callable[[F], F]:
    """`@mule(1)`: mule 1 runs the function when it starts."""
def muleloop(num: int, /) -> Callable[[F], F]:
    """Likewise, again and again."""
def mulemsg(num: int, /) -> Callable[[F], F]:
    """Likewise, with each message."""
def farm(name: str, /) -> Callable[[F], F]:
    """`@farm("name")`: with each message of the farm, in one of its mules."""
mule_functions: dict[str, Callable[..., Any]]
def mule_msg_dispatcher(message: bytes, /) -> Any:
    """Runs what a message of mulefunc asks for."""
mule_brain: type
mule_brainloop: type
mulemsg_loop: type
farm_loop: type
# Others
def rpc(name: str, /) -> Callable[[F], F]:
    """`@rpc("name")`: offer the function to uwsgi.rpc()."""
def lock(f: F, /) -> F:
    """`@lock`: one process at a time runs the function; in a spooler none does."""
def thread(f: F, /) -> F:
    """`@thread`: a call starts a daemon thread."""
def harakiri(seconds: int, /) -> Callable[[F], F]:
    """`@harakiri(30)`: the process is killed if a call takes longer."""
def erlang(name: str, /) -> Callable[[F], F]:
    """AttributeError (never: there is no Erlang plugin)."""
