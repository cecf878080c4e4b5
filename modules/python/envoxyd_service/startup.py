"""The lines that tell on the server's log what a service is made of."""
import os

import envoxy

BLUE, GREEN = "34", "32"


def announce(tag, text):
    """Write "[tag] text"; the tag is coloured on a terminal."""
    if os.isatty(2):
        tag = f"\033[{GREEN if tag == 'OK' else BLUE}m{tag}\033[0m"
    envoxy.log.system(f"[{tag}] {text}\n")


def last(value):
    """The value of an option that may have been given several times."""
    return value[-1] if isinstance(value, list) else value
