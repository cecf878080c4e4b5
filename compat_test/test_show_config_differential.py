"""What --show-config says of made-up configurations is what uWSGI 2.0.31 says of them.

SHOW_CONFIG_SEED chooses other configurations than usual; a failure names the seed of its case.
"""
import difflib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from configurations import ENVIRONMENT, FILES, Configuration
from server import BINARY

CASES = 200
SEED = int(os.environ.get("SHOW_CONFIG_SEED", "20031"))
START, END = ";uWSGI instance configuration\n[uwsgi]\n", ";end of configuration"


def show(binary, directory, args, env):
    """(exit status, what --show-config says, everything that was said); uWSGI's crashes and hangs have no status of their own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    called = Path(directory, "uwsgi")  # both under the same name, so that %b and the profile do not differ
    called.unlink(missing_ok=True)
    called.symlink_to(binary)
    try:
        done = subprocess.run([str(called), *args, "--show-config", "--no-server"], cwd=directory, env={**inherited, **env},
                              capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return None, None, "no end within 10 s"
    said = done.stderr.decode("utf-8", "replace")
    shown = said.partition(START)[2].partition(END)[0] if START in said else None
    lines = [line.rstrip() for line in shown.splitlines()] if shown is not None else None
    return done.returncode, lines, said


def directory_with(files):
    directory = tempfile.TemporaryDirectory(prefix="show-config-")
    for name, text in files.items():
        path = Path(directory.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return directory


@pytest.mark.timeout(600)
def test_configurations_read_as_in_uwsgi(uwsgi):
    print(f"seed {SEED}, {CASES} cases")
    different = []
    shown = 0
    for seed in range(SEED, SEED + CASES):
        case = Configuration(seed)
        with directory_with(case.files) as directory:
            theirs = show(uwsgi, directory, case.args, case.env)
            ours = show(BINARY, directory, case.args, case.env)
        shown += theirs[0] == 0 and len(theirs[1]) > 4
        if theirs[:2] != ours[:2]:
            different.append((seed, case, theirs, ours))
    for seed, case, theirs, ours in different[:5]:
        print(f"--- seed {seed}: uwsgi {' '.join(case.args)}")
        for name in [name for name in case.files if name not in FILES]:
            print(f"{name}:\n{case.files[name]}")
        print(f"uWSGI ends with {theirs[0]}, envoxyd with {ours[0]}")
        if theirs[1] is None or ours[1] is None:
            print(f"uWSGI says:\n{theirs[2][-1000:]}\nenvoxyd says:\n{ours[2][-1000:]}")
        else:
            print("\n".join(difflib.unified_diff(theirs[1], ours[1], "uWSGI", "envoxyd", n=0, lineterm="")))
    assert not different, f"{len(different)} of {CASES} differ, first with SHOW_CONFIG_SEED={different[0][0]}"
    assert shown > CASES * 0.9  # the made-up configurations are such that uWSGI reads them


# Why envoxyd reads it differently, the ini file, and the settings that envoxyd makes of it.
INTENDED = {
    "placeholder-from-a-placeholder": (
        "uWSGI overlooks a placeholder that another one has put at the very beginning of a value",
        "x = %(b)\nb = %(c)\nc = 1", ["x = 1", "b = 1", "c = 1"]),
    "name-made-of-names": (
        "and one whose name has just been put together there",
        "b = z\na_z = 1\nx = %(a_%(b))", ["b = z", "a_z = 1", "x = 1"]),
    "placeholder-of-itself": (
        "uWSGI replaces it again and again until memory ends",
        "x = a%(x)", ["x = a%(x)"]),
    "percent-at-the-end-of-a-line": (
        "uWSGI takes the end of the line for a magic variable and joins the next line",
        "a = 50%\nb = 1", ["a = 50%", "b = 1"]),
    "placeholder-in-listen": (
        "uWSGI reads listen before placeholders are replaced, and then as 0",
        "listen = $(COUNT)", ["listen = 3"]),
    "default-of-a-variable": (
        "uWSGI 2.1 has defaults, 2.0 has not",
        "x = v$(NONE:-d)", ["x = vd"]),
    "else": (
        "uWSGI 2.1 has else, 2.0 has not",
        "if-env = NONE\na = 1\nelse =\nb = 1\nendif =", ["if-env = NONE", "else =", "b = 1", "endif ="]),
    "ienv": (
        "uWSGI 2.1 has ienv, for 2.0 it is an unknown name",
        "ienv = A=1\nx = v$(A)", ["ienv = A=1", "x = v1"]),
    "header-without-its-end": (
        "uWSGI cuts the last byte of a section's name whatever it is",
        None, []),
    "file-with-a-colon": (
        "uWSGI cannot name such a file at all",
        "ini = b:c.ini", ["ini = b:c.ini", "q = 1"]),
    "no-process": (
        "uWSGI starts without workers, and serves nothing",
        "processes = 0", None),
    "file-that-includes-itself": (
        "uWSGI crashes, envoxyd names the loop and ends with 1",
        "ini = site.ini", None),
}


@pytest.mark.parametrize("name", INTENDED)
def test_intended_differences(uwsgi, name):
    _, text, wanted = INTENDED[name]
    text = "[uwsgix\na = 1\n" if text is None else f"[uwsgi]\n{text}\n"
    with directory_with({"site.ini": text, "b:c.ini": "[uwsgi]\nq = 1\n"}) as directory:
        limited = Path(directory, "uwsgi-limited")  # of memory, for what never ends
        limited.write_text(f'#!/bin/sh\nulimit -v 4000000\nexec {uwsgi} "$@"\n')
        limited.chmod(0o755)
        theirs = show(limited, directory, ["--ini", "site.ini"], ENVIRONMENT)
        status, ours, said = show(BINARY, directory, ["--ini", "site.ini"], ENVIRONMENT)
    assert theirs[:2] != (status, ours)
    if wanted is None:
        assert (status, ours) == (1, None) and "site.ini" in said
    else:
        assert (status, ours) == (0, ["ini = site.ini", *wanted, "show-config = true", "no-server = true"])
