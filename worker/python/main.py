"""What the master starts the deployment's python3 with: main.py FD.

FD holds the specification as JSON. This file only finds the package beside it
and leaves the interpreter as an application expects to find it. It is the one
file that older interpreters have to be able to read, to say that they are too old.
"""
import json
import os
import sys

OLDEST = (3, 8)


def main():
    if sys.version_info < OLDEST:
        leave_too_old(int(sys.argv[1]))
    sys.path.pop(0)  # the folder of this file is nobody else's business
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    from envoxyd_worker import zygote

    sys.path.remove(here)
    with open(int(sys.argv[1]), encoding="utf-8") as document:
        text = document.read()
    module = sys.modules["__main__"]
    for name in ("__file__", "__cached__", "__spec__"):  # multiprocessing would run this file again in its children
        module.__dict__.pop(name, None)
    module.__spec__ = None
    zygote.run(text)


def leave_too_old(document):
    """Tell the log and the master why nothing can be served, and end."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    words = "Python {} ({}) is too old: 3.8 or later is needed; name another one by --virtualenv".format(version, sys.executable)
    with os.fdopen(document, "rb") as stream:
        spec = json.loads(stream.read().decode("utf-8"))
    if spec.get("check"):
        reports = [{"kind": "problem", "option": "virtualenv", "text": words}, {"kind": "checked", "status": 1}]
    else:
        reports = [{"kind": "failed", "status": 1}]
        sys.stderr.write(words + "\n")
        sys.stderr.flush()
    for report in reports:
        os.write(spec["control_fd"], json.dumps(report).encode("utf-8"))
    os._exit(1)


main()
