"""What the master starts the deployment's python3 with: main.py FD.

FD holds the specification as JSON. This file only finds the package beside it
and leaves the interpreter as an application expects to find it.
"""
import os
import sys


def main():
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


main()
