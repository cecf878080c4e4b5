"""--help, the search for options, and the completion scripts that make install puts into place."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest
from server import BINARY, ROOT


def run(*args, cwd=None):
    done = subprocess.run([BINARY, *args], cwd=cwd, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_help_fits_the_terminal():
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([BINARY, "--help", "sockets"], stdout=slave, env=environ) as process:
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            text += piece
            if not piece:
                break
        assert process.wait(30) == 0
    os.close(master)
    lines = text.decode().splitlines()
    assert "Sockets" in lines and max(map(len, lines[1:-2])) <= 100 and sum(line.startswith(" " * 49) for line in lines) > 10


@pytest.mark.parametrize("args, said, status", [
    (["--help", "processes"], "-p|--processes", 0), (["--help", "vaccum"], 'did you mean "vacuum"?', 1),
    (["options", "gevent", "patch"], "--gevent-early-monkey-patch", 0), (["options"], "Internal routing", 0),
    (["options", "nothingofthekind"], "no option", 1)])
def test_topics(tmp_path, args, said, status):
    got, out, err = run(*args, cwd=tmp_path)
    assert got == status and said in (out if status == 0 else err), out[:500] + err


def test_a_file_named_options_hides_nothing(tmp_path):
    """Without an extension it is no configuration file; by its option it is one."""
    (tmp_path / "options").write_text("[uwsgi]\nprint = from the file\nexit = 7\n")
    assert "--gevent " in run("options", "gevent", cwd=tmp_path)[1]
    assert run("--ini", "options", cwd=tmp_path)[0] == 7


def test_completion_scripts_are_installed_and_removed(tmp_path):
    where = ["-s", f"DESTDIR={tmp_path}", "PREFIX=/usr"]
    subprocess.run(["make", *where, "install-completions"], cwd=ROOT, check=True, timeout=60, capture_output=True)
    share = tmp_path / "usr" / "share"
    scripts = {"bash": "bash-completion/completions/envoxyd", "zsh": "zsh/site-functions/_envoxyd",
               "fish": "fish/vendor_completions.d/envoxyd.fish"}
    for shell, name in scripts.items():
        assert (share / name).read_text() == run("completion", shell)[1] != ""
    subprocess.run(["make", *where, "uninstall"], cwd=ROOT, check=True, timeout=60, capture_output=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
