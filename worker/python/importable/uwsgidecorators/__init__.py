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
from .spooling import manage_spool_request, spool, spoolforever, spooler_functions, spoolraw

# `uwsgi` is among them: code that imports everything from here has always got it along.
__all__ = [
    "cron", "erlang", "farm", "farm_loop", "filemon", "get_free_signal", "harakiri", "lock", "manage_spool_request", "mstimer", "mule",
    "mule_brain", "mule_brainloop", "mule_functions", "mule_msg_dispatcher", "mulefunc", "muleloop", "mulemsg", "mulemsg_loop",
    "postfork", "postfork_chain", "postfork_chain_hook", "rbtimer", "rpc", "signal", "spool", "spooler_functions", "spoolforever",
    "spoolraw", "thread", "timer", "uwsgi",
]

uwsgi.spooler = manage_spool_request
uwsgi.post_fork_hook = postfork_chain_hook
uwsgi.install_mule_msg_hook(mule_msg_dispatcher)
