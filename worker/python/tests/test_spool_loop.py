"""The loop of a spooler process: what runs, in which order, when, and what is kept."""
import errno
import os
import time

import pytest
from envoxyd_worker.spooling import files, loop, reading
from spoolers import Spoolers, fork, until

NOW = 1_000_000_000  # a time that every job below is due at


@pytest.fixture(params=["files", "journals"])
def spoolers(tmp_path, request):
    """Makes spoolers, whose jobs are in files or in journals."""
    made = []

    def make(*names, **more):
        directories = [tmp_path / name for name in names or ("jobs",)]
        for directory in directories:
            directory.mkdir()
        made.append(Spoolers(*directories, journaled=request.param == "journals", **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


files_only = pytest.mark.parametrize("spoolers", ["files"], indirect=True)


class Handler:
    """A uwsgi.spooler that notes the jobs and answers as it is told, by default that all is well."""

    def __init__(self, *answers):
        self.jobs, self.answers = [], list(answers)

    def __call__(self, job):
        self.jobs.append(job)
        answer = self.answers.pop(0) if self.answers else -2
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def values(self):
        return [job[b"n"] for job in self.jobs]


def left(spooler, number=0):
    return [os.path.join(base, name) for base, _, names in os.walk(spooler.spoolers[number]["dir"]) for name in names]


def test_a_job_is_run_and_its_file_goes(spoolers):
    one, handler = spoolers(harakiri=7, quiet=False), Handler()
    path = one.put(n=b"1", body=b"B")
    process = one.process(handler)
    process.run()
    assert handler.jobs == [{"spooler_task_name": os.path.basename(path).encode(), b"n": b"1", "body": b"B"}]
    assert left(one) == [] and (process.begun, process.ended) == ([7], 1)


@pytest.mark.parametrize("quiet", [False, True])
def test_what_is_logged(spoolers, quiet, capfd):
    one = spoolers(quiet=quiet)
    name = os.path.basename(one.uwsgi.spool({b"n": b"1"}).decode())
    one.process(Handler()).run()
    text, directory = capfd.readouterr().err, one.spoolers[0]["dir"]
    for part in (f"written 10 bytes to file {directory}/{name}", f"[spooler {directory} pid: {os.getpid()}] managing request {name}",
                 f"done with task {name} after 0 seconds"):
        assert (part in text) is not quiet


@pytest.mark.parametrize("answer", [-1, 1, 5, None, "text", ZeroDivisionError("x"), SystemExit(3), KeyboardInterrupt()])
def test_a_job_that_does_not_end_well_is_kept_and_tried_after_the_frequency(spoolers, answer, capfd):
    one, handler = spoolers(frequency=1), Handler(answer, -2)
    one.put(n=b"1")
    process = one.process(handler, patience=5, jobs=2)
    began = time.monotonic()
    process.run()
    assert handler.values() == [b"1", b"1"] and left(one) == []
    assert time.monotonic() - began >= 1
    if isinstance(answer, ZeroDivisionError):
        assert "ZeroDivisionError: x" in capfd.readouterr().err


def test_a_job_that_nobody_wants_is_kept_and_told_once(spoolers, capfd):
    one, handler = spoolers(frequency=1), Handler(0, 0, -2)
    one.put(n=b"1")
    one.process(handler, patience=5, jobs=3).run()
    assert handler.values() == [b"1"] * 3 and left(one) == []
    assert capfd.readouterr().err.count("unable to find the spooler function") == 1


def test_without_a_function_a_job_is_kept(spoolers, capfd):
    one = spoolers()
    one.put(n=b"1")
    one.process().run()
    assert len(left(one)) == 1 and "unable to find the spooler function" in capfd.readouterr().err


def test_failing_jobs_do_not_keep_others_waiting(spoolers):
    """New jobs wake the spooler, and what has failed waits for its time."""
    one, order = spoolers(), []

    def function(job):
        order.append(job[b"n"])
        if job[b"n"] != b"bad" and len(order) < 8:
            one.uwsgi.spool({b"n": b"%d" % len(order)})
        return -1 if job[b"n"] == b"bad" else -2

    one.put(n=b"bad", at=NOW)
    one.put(n=b"first", at=NOW + 1)
    one.process(function).run()
    assert order == [b"bad", b"first", b"2", b"3", b"4", b"5", b"6", b"7"] and len(left(one)) == 1


def test_a_job_spooled_from_a_job_runs_at_once(spoolers):
    one, handler = spoolers(), Handler()

    def function(job):
        if not handler.jobs:
            one.uwsgi.spool({b"n": b"2"})
        return handler(job)

    one.put(n=b"1")
    process = one.process(function)
    process.run()
    assert handler.values() == [b"1", b"2"] and (one.journaled or process.pauses == [30, 30])


def test_a_job_of_the_future_runs_when_it_is_due_and_not_at_the_next_look(spoolers):
    one, handler = spoolers(), Handler()
    due = int(time.time()) + 1
    one.uwsgi.spool({b"n": b"later", b"at": b"%d.9" % due})
    one.put(n=b"much later", at=due + 3600)
    one.put(n=b"now")
    ran = []
    process = one.process(lambda job: (ran.append(time.time()), handler(job))[1], patience=5, jobs=2)
    process.run()
    assert handler.values() == [b"now", b"later"] and len(left(one)) == 1
    assert due <= ran[1] < due + 1


def test_jobs_run_in_the_order_of_their_times(spoolers):
    one, handler = spoolers(), Handler()
    for n in (3, 1, 2):
        one.put(n=b"%d" % n, at=NOW + n)
    one.process(handler).run()
    assert handler.values() == [b"1", b"2", b"3"]


@pytest.mark.parametrize("ordered", [False, True])
def test_priorities_run_low_numbers_first_and_before_jobs_without_one(spoolers, ordered):
    one, handler = spoolers(ordered=ordered), Handler()
    one.put(n=b"none", at=NOW)
    for priority in (b"20", b"3", b"100", b"0"):
        one.put(n=priority, priority=priority, at=NOW + int(priority))
    os.mkdir(f"{one.spoolers[0]['dir']}/other")
    one.put(n=b"elsewhere", directory=f"{one.spoolers[0]['dir']}/other")
    one.process(handler).run()
    assert handler.values() == [b"0", b"3", b"20", b"100", b"none"] and len(left(one)) == 1


@files_only
def test_ordered_jobs_run_by_the_numbers_in_their_names(spoolers):
    one, handler = spoolers(ordered=True), Handler()
    for name in ("h_10_1", "h_9_2", "h_9_10", "g_99"):
        os.rename(one.put(n=name.encode(), at=NOW), f"{one.spoolers[0]['dir']}/uwsgi_spoolfile_on_{name}")
    one.process(handler).run()
    assert handler.values() == [b"g_99", b"h_9_2", b"h_9_10", b"h_10_1"]


def test_an_urgent_job_does_not_wait_for_a_long_list(spoolers):
    one, handler = spoolers(ordered=True), Handler()

    def function(job):
        if len(handler.jobs) == 2:
            one.uwsgi.spool({b"n": b"urgent", b"priority": b"1"})
        until(lambda: time.monotonic() > began + 0.02 * len(handler.jobs))  # longer than a look takes
        return handler(job)

    for n in range(6):
        one.put(n=b"%d" % n)
    began = time.monotonic()
    one.process(function).run()
    assert handler.values() == [b"0", b"1", b"2", b"urgent", b"3", b"4", b"5"]


@files_only
def test_what_is_no_job_is_left_alone_and_told_once(spoolers, capfd, monkeypatch):
    one, handler = spoolers(frequency=1), Handler(-1)
    directory = one.spoolers[0]["dir"]
    monkeypatch.setattr("envoxyd_worker.spooling.loop.YOUNG", -1)
    path = one.put(n=b"good")
    for name, content in (("empty", b""), ("short", b"\x11\x05\0\0abc"), ("pairs", b"\x11\x02\0\0\x05\0")):
        with open(f"{directory}/uwsgi_spoolfile_on_{name}", "wb") as file:
            file.write(content)
    os.mkdir(f"{directory}/uwsgi_spoolfile_on_directory")
    os.symlink("/etc/passwd", f"{directory}/uwsgi_spoolfile_on_link")
    os.mkfifo(f"{directory}/uwsgi_spoolfile_on_fifo")
    for other in ("unrelated", ".uwsgi_spoolfile_on_x"):
        os.link(path, f"{directory}/{other}")
    one.process(handler, patience=5, jobs=2).run()  # looks again a second later, for what has failed
    text = capfd.readouterr().err
    assert handler.values() == [b"good", b"good"]
    assert [text.count(f"uwsgi_spoolfile_on_{name} is left alone") for name in ("empty", "short", "pairs")] == [1, 1, 1]
    assert len(os.listdir(directory)) == 8


@pytest.mark.parametrize("function", ["take", "read", "remove"])
def test_what_the_system_refuses_is_tried_again_and_told_once(spoolers, capfd, monkeypatch, function):
    one, handler, failures = spoolers(frequency=1), Handler(), []
    if one.journaled:
        holder = reading.Reader if function == "take" else reading.Job
    else:
        holder = files if function == "take" else files.Taken
    real = getattr(holder, function)

    def twice(*args):
        if len(failures) < 2:
            failures.append(args)
            raise OSError(errno.EMFILE, "Too many open files")
        return real(*args)

    monkeypatch.setattr(holder, function, twice)
    one.put(n=b"1")
    process = one.process(handler, patience=5, jobs=3 if function == "remove" else 1)
    process.run()
    assert left(one) == [] and capfd.readouterr().err.count("Too many open files") == 1


@files_only
def test_an_empty_file_may_be_one_that_is_being_written(spoolers, capfd):
    one, handler = spoolers(), Handler()
    path = one.put(n=b"1")
    with open(path, "r+b") as file:
        content = file.read()
        file.truncate(0)
    process = one.process(handler, patience=5, jobs=1)
    wait = process.wait

    def written_meanwhile(fds, seconds):
        if seconds and os.path.exists(path) and not handler.jobs:
            with open(path, "wb") as file:
                file.write(content)
        return wait(fds, seconds)

    process.wait = written_meanwhile
    process.run()
    assert handler.values() == [b"1"] and process.pauses[0] <= 1 and "left alone" not in capfd.readouterr().err


def test_a_process_leaves_after_its_tasks_or_when_told_to_with_the_job_in_hand_done(spoolers):
    one, handler = spoolers(max_tasks=2), Handler(-1)
    for n in range(4):
        one.put(n=b"%d" % n, at=NOW + n)
    process = one.process(handler)
    process.run()
    assert handler.values() == [b"0", b"1"] and len(left(one)) == 3 and not process.leaving

    def function(job):
        process.leaving = True
        return handler(job)

    one.spec["spooling"]["max_tasks"] = 0
    process = one.process(function)
    process.run()
    assert handler.values() == [b"0", b"1", b"0"] and len(left(one)) == 2


@pytest.mark.parametrize("elsewhere", [False, True])
def test_where_a_job_runs(spoolers, tmp_path, elsewhere):
    one, where = spoolers(chdir=str(tmp_path) if elsewhere else ""), []
    directory = one.spoolers[0]["dir"]
    one.put(n=b"1")
    one.put(n=b"2")
    one.process(lambda job: (where.append((os.getcwd(), one.uwsgi.spooler_dir())), os.chdir("/"), -2)[2]).run()
    assert where == [(str(tmp_path) if elsewhere else directory, directory.encode())] * 2


def test_a_directory_that_is_missing_for_a_while_ends_nothing(spoolers):
    one, handler = spoolers(frequency=1), Handler()
    directory = one.spoolers[0]["dir"]
    os.rename(directory, directory + "x")
    with pytest.raises(ValueError):
        one.uwsgi.spool({b"n": b"1"})
    one.process(handler).run()
    assert one.uwsgi.spooler_jobs() == []
    os.rename(directory + "x", directory)
    one.put(n=b"1")
    one.process(handler).run()
    assert handler.values() == [b"1"]


def test_a_job_that_ended_its_process_comes_after_the_others(spoolers):
    one, handler = spoolers(processes=2), Handler()
    bad = one.put(n=b"bad", at=NOW)
    one.put(n=b"good", at=NOW + 1)
    one.state.spooling.take_in_hand(2, bad)
    one.process(handler, number=2).run()
    assert handler.values() == [b"good", b"bad"] and one.state.spooling.in_hand(2) == ""


def test_each_directory_has_its_own(spoolers):
    one, handler = spoolers("a", "b"), Handler()
    one.uwsgi.spool({b"n": b"b", b"spooler": one.uwsgi.spoolers[1]})
    one.uwsgi.spool({b"n": b"a"})
    one.process(handler, number=2).run(1)
    assert handler.values() == [b"b"] and left(one, 1) == [] and len(left(one)) == 1
    assert handler.jobs[0][b"spooler"] == one.uwsgi.spoolers[1]


def test_what_waits_in_a_journal_for_a_while_becomes_a_file(spoolers, monkeypatch):
    """A job that is to be tried again later, and one of the future; after a moment no journal is left."""
    monkeypatch.setattr(loop, "SETTLE", 0.05)
    one = spoolers()
    later = one.put(n=b"later", at=9999999999)
    bad = one.put(n=b"bad")
    seen = []
    process = one.process(lambda job: -1 if job[b"n"] == b"bad" else -2, patience=0.5)
    wait = process.wait

    def look(fds, seconds):
        seen.append(sorted(os.listdir(one.spoolers[0]["dir"])))
        return wait(fds, seconds)

    process.wait = look
    process.run()
    files_alone = sorted([os.path.basename(later), os.path.basename(bad)])
    assert seen[0] == ([".envoxyd_journal_1"] if one.journaled else files_alone)
    assert files_alone in seen and process.begun == [0]


def test_the_application_sees_jobs_of_journals_as_files(spoolers):
    one, seen = spoolers(), []
    paths = [one.put(n=b"1", at=NOW), one.put(n=b"2", at=NOW + 1), one.put(n=b"3", at=NOW + 2)]

    def function(job):
        seen.append(one.uwsgi.spooler_get_task(paths[0]))  # this one
        if len(seen) == 1:
            assert one.uwsgi.spooler_get_task(paths[1])[b"n"] == b"2"
            assert one.uwsgi.spooler_jobs() == [os.fsencode(path) for path in sorted(paths)]
            os.remove(paths[1])
        seen.append(job[b"n"])
        return -2

    one.process(function).run()
    assert seen == [{"spooler_task_name": os.fsencode(paths[0]), b"n": b"1"}, b"1", None, b"3"] and left(one) == []


def test_the_last_process_makes_files_though_another_was_killed(tmp_path):
    """The successor of that one may be about to come, or not, in a stop."""
    one = Spoolers(tmp_path, journaled=True, processes=2)
    shared = one.state.spooling
    try:
        assert os.waitpid(fork(lambda: shared.serve(2, 0)), 0)[1] == 0
        path = one.put(n=b"1")
        process = one.process(lambda job: -1, jobs=1)
        process.run()
        assert left(one) == [path] and not shared.served(0)
    finally:
        one.close()


def test_a_job_runs_at_once_though_the_clock_has_been_set_back(tmp_path):
    one, handler = Spoolers(tmp_path, journaled=True), Handler()
    try:
        one.state.journals[0].clock = lambda: time.time_ns() + 3600 * 10**9
        one.put(n=b"1")
        one.process(handler).run()
        assert handler.values() == [b"1"]
    finally:
        one.close()
