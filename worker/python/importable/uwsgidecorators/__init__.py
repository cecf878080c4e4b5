"""Decorators for what the `uwsgi` module offers, under the names that applications import.

What the functions behind them raise (no master, no spooler, no free signal) is raised here too.
"""
import uwsgi

if not uwsgi.masterpid():
    raise Exception("uwsgidecorators need a master process (--master)")

from .guards import harakiri, lock, thread
from .mules import farm, farm_loop, mule, mule_brain, mule_brainloop, mule_functions, mule_msg_dispatcher
from .mules import mulefunc, muleloop, mulemsg, mulemsg_loop
from .postforks import postfork, postfork_chain, postfork_chain_hook
from .registered import cron, erlang, filemon, get_free_signal, mstimer, rbtimer, rpc, signal, timer

# `uwsgi` is among them: code that imports everything from here has always got it along.
__all__ = [
    "cron", "erlang", "farm", "farm_loop", "filemon", "get_free_signal", "harakiri", "lock", "mstimer", "mule", "mule_brain",
    "mule_brainloop", "mule_functions", "mule_msg_dispatcher", "mulefunc", "muleloop", "mulemsg", "mulemsg_loop", "postfork",
    "postfork_chain", "postfork_chain_hook", "rbtimer", "rpc", "signal", "thread", "timer", "uwsgi",
]

try:
    from .spooling import manage_spool_request, spool, spoolforever, spooler_functions, spoolraw
except ImportError:
    spooler_functions = {}
else:
    uwsgi.spooler = manage_spool_request
    __all__ += ["manage_spool_request", "spool", "spoolforever", "spoolraw"]
__all__.append("spooler_functions")

uwsgi.post_fork_hook = postfork_chain_hook
uwsgi.install_mule_msg_hook(mule_msg_dispatcher)
