#!/usr/bin/env python3
"""manpage.py ENVOXYD VERSION TIME FILE...: manual pages, packed: envoxyd(1), made of what `envoxyd --help` says, and those of tools."""
import gzip
import subprocess
import sys
import time
from pathlib import Path


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

TOOL = r"""
.TH {upper} 1 "{date}" "envoxyd {version}" "User Commands"
.SH NAME
{name} \- {tool} for the service of an envoxy.json
.SH SYNOPSIS
.B {name}
[\fB\-\-conf\fR \fIPATH\fR] \fIARGUMENT\fR...
.SH DESCRIPTION
Runs {tool} with the settings of an Envoxy service and the packages of the Python environment it is called in. The service is that of
envoxy.json in this directory, or of the file
.IR PATH .
The arguments are those of {tool}, which has to be installed there.
.SH SEE ALSO
.BR envoxyd (1)
"""


def server(program, **known):
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin"}
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, env=environment).stdout
    return "\n".join([HEAD.strip().format(**known), *map(escape, text.splitlines()[1:]), TAIL.strip(), ""])


def tool(name, **known):
    return TOOL.lstrip().format(name=name.replace("-", "\\-"), upper=name.upper(), tool=name.split("-")[1], **known)


def main(program, version, seconds, *files):
    known = {"version": version, "date": time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))}
    for file in map(Path, files):
        name = file.name.split(".")[0]
        text = server(program, **known) if name == "envoxyd" else tool(name, **known)
        file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
