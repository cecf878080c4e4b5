"""Caches: cache_get and its kin are the extension's own functions."""
import gzip
import os
from time import monotonic

from ..log import line
from . import remotecache

NAMES = ("cache_get", "cache_set", "cache_update", "cache_del", "cache_exists", "cache_clear", "cache_num", "cache_keys",
         "cache_inc", "cache_dec", "cache_mul", "cache_div")


def functions(mine):
    mine.shared.call_back(remotecache.call, tell)
    put_items(mine)
    return {name: getattr(mine.shared, name) for name in NAMES}


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
