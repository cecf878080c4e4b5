"""Switches in the configuration, which may be written as text."""

_NO = ("", "0", "false", "no", "off", "none", "null")


def is_true(value):
    """False for a value that is empty, or says no in words."""
    return bool(value) and str(value).strip().lower() not in _NO
