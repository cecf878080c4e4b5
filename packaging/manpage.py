#!/usr/bin/env python3
"""manpage.py ENVOXYD VERSION TIME: the manual page envoxyd(1), made of what `envoxyd --help` says."""
import subprocess
import sys
import time


def escape(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line[:1] in (".", "'") else line


HEAD = r"""
.TH ENVOXYD 1 "{date}" "envoxyd {version}" "User Commands"
.SH NAME
envoxyd \- application server for Python with the command line of uWSGI
.SH SYNOPSIS
.B envoxyd
[\fIOPTION\fR...] [\fIFILE\fR]
.SH DESCRIPTION
Serves WSGI, ASGI and Envoxy applications over HTTP and the uwsgi protocol. Options, signals, the Python module
.B uwsgi
and statistics are those of uWSGI. Options are given on the command line, in the environment as UWSGI_NAME, and in files in the formats ini,
yaml, json and xml.
.SH OPTIONS
.nf
"""
TAIL = r"""
.fi
.SH SIGNALS
HUP reloads, TERM and INT stop.
.SH EXIT STATUS
0 after a stop, 1 for wrong options, 22 when no application could be loaded.
"""


def main(program, version, seconds):
    date = time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin"}
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, env=environment).stdout
    print(HEAD.strip().format(date=date, version=version))
    for line in text.splitlines()[1:]:
        print(escape(line))
    print(TAIL.strip())


if __name__ == "__main__":
    main(*sys.argv[1:])
