#!/usr/bin/env python3
"""manpage.py ENVOXYD VERSION TIME: the manual page envoxyd(1), made of what `envoxyd --help` says."""
import subprocess
import sys
import time


def escape(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line[:1] in (".", "'") else line


def main(program, version, seconds):
    date = time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))
    sections = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, env={"COLUMNS": "100", "PATH": "/usr/bin:/bin"}).stdout
    print(f'.TH ENVOXYD 1 "{date}" "envoxyd {version}" "User Commands"')
    print(".SH NAME\nenvoxyd \\- application server for Python with uWSGI\\(aqs command line")
    print(".SH SYNOPSIS\n.B envoxyd\n[\\fIOPTION\\fR...] [\\fIFILE\\fR]")
    print(".SH DESCRIPTION\nServes WSGI, ASGI and Envoxy applications over HTTP and the uwsgi protocol. Options, signals, the Python module")
    print(".B uwsgi\nand statistics are those of uWSGI. Options may stand on the command line, in the environment as UWSGI_NAME, and in files in")
    print("the formats ini, yaml, json and xml.\n.SH OPTIONS\n.nf")
    for line in sections.splitlines():
        print(escape(line))
    print(".fi\n.SH SIGNALS\nHUP reloads, TERM and INT stop, USR1 logs statistics, USR2 upgrades the program or reopens the log as the options say.")
    print(".SH EXIT STATUS\n0 after a stop, 1 for wrong options, 22 when no application could be loaded.")


if __name__ == "__main__":
    main(*sys.argv[1:])
