"""uwsgi.lock and its kin."""

from .state import named


def functions(mine):
    def lock(number=0):
        mine.locks.acquire(number)

    def unlock(number=0):
        mine.locks.release(number)

    def is_locked(number=0):
        return mine.locks.held(number)

    return named(lock, unlock, is_locked)
