"""What --hook-post-fork and --hook-accepting* do in each worker; the master does the phases before that itself."""
import os
import shutil

from . import log


class Failed(Exception):
    """A hook that a worker must not go on without."""


def run(hooks, phase):
    """Runs a phase's actions; the first that fails ends it."""
    for given, text in hooks or ():
        if given != phase:
            continue
        action = text[1:] if text.startswith("!") else text
        log.line(f"running --- PRIVATE HOOK --- ({phase})..." if action != text else f'running "{text}" ({phase})...')
        try:
            act(action)
        except (OSError, LookupError, ValueError) as error:
            raise Failed(f"FATAL hook failed: {phase}: {error}") from error


def accepting(hooks, number, again):
    """The phases of a worker that begins to accept; the -once ones are for the first process in its place."""
    for phase in ("accepting", "accepting1"):
        if phase == "accepting" or number == 1:
            run(hooks, phase)
            if not again:
                run(hooks, phase + "-once")


def act(text):
    name, colon, argument = text.partition(":")
    if not colon:
        raise ValueError(f"invalid hook {text!r}: ACTION:ARGUMENT is needed")
    action = ACTIONS.get(name)
    if action is None:
        raise LookupError(f"hook action not found: {name}")
    action(argument)


def execute(command):
    import subprocess  # slow to import, and seldom needed

    status = subprocess.call(command, shell=True)
    if status:
        how = f"was killed by signal {-status}" if status < 0 else f"exited with non-zero code: {status}"
        raise ValueError(f'command "{command}" {how}')


def execute_safely(command):
    try:
        execute(command)
    except (OSError, ValueError) as error:
        log.line(error)


def putenv(argument):
    name, _, value = argument.partition("=")
    os.environ[name] = value


def leave(argument):
    log.flush()
    os._exit(int(argument or 0))


def writer(mode, end=""):
    def write(argument):
        name, blank, text = argument.partition(" ")
        if not blank and not end:
            raise ValueError(f"{argument!r} has no text")
        with open(name, mode, encoding="utf-8", errors="surrogateescape") as file:
            file.write(text + end)

    return write


def write_fifo(argument):
    name, _, text = argument.partition(" ")
    fifo = os.open(name, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fifo, os.fsencode(text))
    finally:
        os.close(fifo)


def chmod(argument):
    name, _, mode = argument.partition(" ")
    os.chmod(name, int(mode, 8))


def chown(argument):
    name, _, owner = argument.partition(" ")
    user, _, group = owner.replace(" ", ":", 1).partition(":")
    shutil.chown(name, number(user), number(group))


def number(name):
    """A user or group as shutil.chown takes it: by number, by name, or None."""
    return int(name) if name.isdigit() else name or None


ACTIONS = {
    "exec": execute,
    "safeexec": execute_safely,
    "cd": os.chdir,
    "chdir": os.chdir,
    "putenv": putenv,
    "print": log.line,
    "log": log.line,
    "exit": leave,
    "mkdir": os.mkdir,
    "unlink": os.unlink,
    "create": lambda name: open(name, "w", encoding="utf-8").close(),
    "creat": lambda name: open(name, "w", encoding="utf-8").close(),
    "write": writer("w"),
    "writen": writer("w", "\n"),
    "append": writer("a"),
    "appendn": writer("a", "\n"),
    "writefifo": write_fifo,
    "chmod": chmod,
    "chown": chown,
}
