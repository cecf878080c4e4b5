"""Caches: cache_get and its kin are the extension's own functions, since they are called often."""
import gzip
import os
import struct
from time import monotonic

from ..log import line
from . import remotecache

NAMES = ("cache_get", "cache_set", "cache_update", "cache_del", "cache_exists", "cache_clear", "cache_keys",
         "cache_inc", "cache_dec", "cache_mul", "cache_div")


def functions(mine):
    mine.shared.elsewhere = remotecache.call
    mine.shared.tell = tell
    put_items(mine)
    return {"cache_num": number_by(mine.shared.cache_get), **{name: getattr(mine.shared, name) for name in NAMES}}


def number_by(get):
    integer = struct.Struct("=q")

    def cache_num(key, cache=None):
        value = get(key, cache)
        return integer.unpack(value)[0] if value is not None and len(value) == 8 else 0

    return cache_num


QUIET = 1.0  # seconds between lines about the same full cache

_told = {}  # when a cache was said to be full


def tell(name, freed):
    """Logs what has happened to a cache."""
    if freed:
        line(f'cache "{name}": {freed} items have expired')
        return
    now = monotonic()
    if now - _told.get(name, -QUIET) >= QUIET:
        _told[name] = now
        line(f'*** cache "{name}" is full: an item could not be stored ***')


def put_items(mine):
    """Puts in what the configuration names: before the application is imported, in each generation."""
    for item in (mine.spec.get("shared") or {}).get("items") or ():
        key, value = item["key"], item["value"]
        try:
            if item["file"]:
                with open(item["file"], "rb") as file:
                    value = file.read()
                if item["gzip"]:
                    value = gzip.compress(value)
        except OSError as error:
            line(f"cache: {error}")
            continue
        if not mine.shared.cache_update(os.fsencode(key), value, 0, item["cache"]):
            line(f'cache "{item["cache"]}": {key} could not be stored')
