"""envoxy-celery: Celery's command line for the application that envoxy.json describes.

    envoxy-celery [--conf PATH] worker --loglevel info
    envoxy-celery [--conf PATH] beat
"""
import sys

from ..celery.client import Client
from . import service

_NAME = "envoxy-celery"


def main(argv=None):
    """Celery's command line; the exit status."""
    file, argv = service.split(sys.argv[1:] if argv is None else argv)
    if file is None:
        print(f"{_NAME}: {service.FILE} is not in this directory; name it with --conf PATH", file=sys.stderr)
        return 2
    try:
        service.use(file)
        app = Client.initialize()
    except (service.NoService, ImportError, ValueError) as error:
        print(f"{_NAME}: {error}", file=sys.stderr)
        return 2
    app.set_current()
    app.set_default()  # for shared tasks, in every thread
    return _status(app, argv)


def _status(app, argv):
    try:
        app.start(argv)
    except SystemExit as leaving:
        return leaving.code or 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
