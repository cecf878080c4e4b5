"""What mules and spoolers hear while they wait."""
import hashlib
import os
import select
import signal
import threading
import time

from envoxyd_worker import auxiliary, uwsgi_module
from envoxyd_worker.layouts import AUXILIARY, AUXILIARY_TIMES, BUCKET_BOUNDS
from specs import ALONE
from spoolers import SPEC, fork


def process():
    memory = os.memfd_create("line")
    os.ftruncate(memory, 2 * (AUXILIARY.size + AUXILIARY_TIMES))
    spec = {**SPEC, **ALONE, "auxiliary_fd": memory}
    return auxiliary.Process(spec, uwsgi_module.make(SPEC), 1, 1)


def test_what_was_done_is_counted_by_how_long_it_took():
    def child():
        one = process()
        one.begin()
        one.put("since", one.get("since") - 2_000_000_000)
        one.end()
        one.begin()
        one.end(done=False)
        counts, total, longest = one.times.integers[:-2].tolist(), one.times.integers[-2], one.times.integers[-1]
        assert sum(counts) == one.get("tasks") == 1
        assert 2_000_000_000 <= total == longest < 60_000_000_000
        bucket = counts.index(1)
        assert BUCKET_BOUNDS[bucket - 1] <= longest < BUCKET_BOUNDS[bucket]
        assert one.get("pid") == os.getpid(), "the lines are where they were"

    assert os.waitpid(fork(child), 0)[1] == 0


def test_a_signal_in_the_moment_before_a_wait_ends_it():
    """The handler cannot run while the main thread is in C; the wait that follows has to find a sign of the signal."""
    def child():
        one = process()
        pid = os.getpid()
        waited = []

        def other():
            time.sleep(0.2)  # the main thread is in C by now; else this test finds nothing
            began = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            select.select([one.woken], [], [], 30)
            waited.append(time.monotonic() - began)

        thread = threading.Thread(target=other)
        began = time.monotonic()
        thread.start()
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 3_000_000)  # seconds in C, without the interpreter's lock
        lasted = time.monotonic() - began
        thread.join()
        assert waited[0] < lasted / 2
        assert one.leaving

    assert os.waitpid(fork(child), 0)[1] == 0


def test_signals_of_the_application_do_not_keep_it_awake():
    def child():
        one = process()
        signal.signal(signal.SIGUSR1, lambda *_: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert one.wait([], 1, with_signals=False) == []
        assert not select.select([one.woken], [], [], 0)[0]

    assert os.waitpid(fork(child), 0)[1] == 0
