"""What the configuration says by placeholders: uwsgi.magic_table and uwsgi.mode."""
import os


def table(spec):
    """The letters behind a % in a file, with what they stand for, as bytes."""
    return {letter.encode(): os.fsencode(text) for letter, text in (spec["python"].get("magic") or {}).items()}


def mode(spec):
    """The value of --mode; None without one. What --set calls mode is the application's own."""
    options = spec["opt"] or ()
    values = [value for name, value, _ in options if name == "mode"]
    set_ones = [value for name, value, _ in options if name == "set" and value.startswith("mode=")]
    return os.fsencode(values[-1]) if len(values) > len(set_ones) else None
