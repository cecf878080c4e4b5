"""uwsgi.lock and its kin: locks that all processes share and that no dead one can keep."""

from .state import named


def functions(mine):
    def refuse_spooler():
        if mine.spooler:
            raise ValueError("a spooler cannot use locks")

    def lock(number=0):
        refuse_spooler()
        mine.shared.lock(number)

    def unlock(number=0):
        refuse_spooler()
        mine.shared.unlock(number)

    def is_locked(number=0):
        refuse_spooler()
        return mine.shared.is_locked(number)

    return named(lock, unlock, is_locked)
