"""Log records: one line of JSON each, in the manner of GELF 1.1, on the server's log."""
import json
import logging
import multiprocessing
import os
import socket
import sys

from .config import Config
from .datetime import Now
from .server import is_served, options

_HOST = socket.gethostname()
_LOG_FD = 2
_alone = logging.getLogger("envoxy")


class LogStyle:
    """ANSI codes by name (ECMA-48, SGR)."""

    RESET, BOLD, UNDERLINE = "0", "1", "4"
    BLACK_FG, RED_FG, GREEN_FG, YELLOW_FG, BLUE_FG, MAGENTA_FG, CYAN_FG, LGRAY_FG = map(str, range(30, 38))
    DEFAULT_FG = "39"
    BLACK_BG, RED_BG, GREEN_BG, YELLOW_BG, BLUE_BG, MAGENTA_BG, CYAN_BG, LGRAY_BG = map(str, range(40, 48))
    DEFAULT_BG = "49"
    DGRAY_FG, LRED_FG, LGREEN_FG, LYELLOW_FG, LBLUE_FG, LMAGENTA_FG, LCYAN_FG, WHITE_FG = map(str, range(90, 98))
    DGRAY_BG, LRED_BG, LGREEN_BG, LYELLOW_BG, LBLUE_BG, LMAGENTA_BG, LCYAN_BG, WHITE_BG = map(str, range(100, 108))

    EMERGENCY = ALERT = "4;31"
    CRITICAL = ERROR = WARNING = "4;35"
    NOTICE, INFO, DEBUG = "4;36", "4;37", "4;33"
    TRACE = VERBOSE = "4;32"

    @staticmethod
    def generate(styles):
        """The escape sequence of one code or of a list of them."""
        return "\033[" + (";".join(styles) if isinstance(styles, list) else styles) + "m"

    @staticmethod
    def apply(text, styles=DEFAULT_FG):
        """The text between an escape sequence and the one that ends it; None stays None."""
        return None if text is None else LogStyle.generate(styles) + text + LogStyle.generate(LogStyle.RESET)


class Log:
    """Writes records up to the configured level; the levels are one byte, 0 emergency to 9 verbose."""

    EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACE, VERBOSE = (bytes([n]) for n in range(10))
    DEFAULT = EMERGENCY
    FORMAT = "json"
    style = LogStyle

    @staticmethod
    def log_level():
        """The configured level."""
        return options().get("log-level", Log.DEFAULT)

    @staticmethod
    def is_gte_log_level(log_level):
        """True when records of this level are written."""
        return Log.log_level() >= log_level

    @staticmethod
    def is_format_log_pretty():
        """True when log.format is "pretty"; records are JSON all the same."""
        return options().get("log-format", Log.FORMAT) == "pretty"

    @staticmethod
    def emergency(text, max_lines=None):
        """Level 0: the service cannot go on."""
        text = f" emergency  | {Now.log_format()} | {Log.truncate_text(text, max_lines)}"
        _record(Log.EMERGENCY, text, None)

    @staticmethod
    def alert(text, max_lines=None):
        """Level 1."""
        _record(Log.ALERT, text, max_lines)

    @staticmethod
    def critical(text, max_lines=None):
        """Level 2."""
        _record(Log.CRITICAL, text, max_lines)

    @staticmethod
    def error(text, max_lines=None):
        """Level 3."""
        _record(Log.ERROR, text, max_lines)

    @staticmethod
    def warning(text, max_lines=None):
        """Level 4."""
        _record(Log.WARNING, text, max_lines)

    @staticmethod
    def notice(text, max_lines=100):
        """Level 5."""
        _record(Log.NOTICE, text, max_lines)

    @staticmethod
    def info(text, max_lines=100):
        """Level 6."""
        _record(Log.INFO, text, max_lines)

    @staticmethod
    def debug(text, max_lines=100):
        """Level 7."""
        _record(Log.DEBUG, text, max_lines)

    @staticmethod
    def trace(text, max_lines=100):
        """Level 8."""
        _record(Log.TRACE, text, max_lines)

    @staticmethod
    def verbose(text, prefix=True, max_lines=None):
        """Level 9."""
        _record(Log.VERBOSE, text, max_lines)

    @staticmethod
    def system(text, max_lines=None):
        """Write the text bare, whatever the level."""
        _write(str(Log.truncate_text(text, max_lines)))

    @staticmethod
    def truncate_text(text, max_lines=None):
        """The text without its middle lines beyond max_lines; text may be a list of lines."""
        if max_lines is None or not isinstance(text, (str, list)):
            return text
        lines = text.split("\n") if isinstance(text, str) else text
        if len(lines) <= max_lines:
            return text
        half = max_lines // 2
        return "\n".join([*lines[:half], "--- truncated ---", *lines[len(lines) - half:]])

    @staticmethod
    def format_log(text, log_level, caller):
        """The record of a text; caller has filename and lineno (inspect.Traceback)."""
        boot = Config.get("boot")
        fields = {
            "version": "1.1",
            "host": _HOST,
            "source": _HOST,
            "short_message": str(text),
            "timestamp": Now.timestamp(),
            "level": log_level[0],
            "pid": os.getpid(),
            "exec": (boot[0].get("name") if boot else None) or multiprocessing.current_process().name,
            "file": ".".join(caller.filename.split("/")[-3:]),
            "line": caller.lineno,
        }
        return json.dumps(fields, ensure_ascii=False)


class _Caller:
    """Where a record was written: what format_log needs of a frame."""

    def __init__(self, frame):
        self.filename, self.lineno = frame.f_code.co_filename, frame.f_lineno


def _record(level, text, max_lines):
    if not Log.is_gte_log_level(level):
        return
    caller = _Caller(sys._getframe(2))  # a method of Log, then who called it
    _write(Log.format_log(Log.truncate_text(text, max_lines), level, caller))


def _write(text):
    """One line in one write, so that lines of several workers do not mix."""
    if not is_served():
        _alone.debug(text)
        return
    line = (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace")
    try:
        while line:
            line = line[os.write(_LOG_FD, line):]
    except OSError:
        pass  # a log that is full or gone must not fail the request
