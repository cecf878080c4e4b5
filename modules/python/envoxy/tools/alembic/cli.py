"""envoxy-alembic: alembic with the configuration that comes with this package, for the service that envoxy.json describes.

    envoxy-alembic [--conf PATH] revision --autogenerate -m "first"
    envoxy-alembic [--conf PATH] upgrade head

SERVICE_ALEMBIC_DIR (or ENVOXY_ALEMBIC_DIR) is where the service keeps its migrations, by default `migrations` beside envoxy.json: the
directory is made when it is not there.
"""
import os
import shutil
import sys

from .. import service
from . import CONFIG, SCRIPTS

_PROXY = "from envoxy.tools.alembic.alembic.env import *  # noqa: F403\n"
_WRITING = ("revision", "merge")


def main(argv=None):
    """alembic's command line; the exit status."""
    file, argv = service.split(sys.argv[1:] if argv is None else argv)
    try:
        from alembic.config import CommandLine, Config
    except ImportError:
        print("the Python package alembic is missing: pip install alembic", file=sys.stderr)
        return 2
    if file is not None:
        try:
            service.use(file)
        except service.NoService as error:
            print(f"envoxy-alembic: {error}", file=sys.stderr)
            return 2
    line = CommandLine(prog="envoxy-alembic")
    options = line.parser.parse_args(["-c", CONFIG, *argv])
    if not hasattr(options, "cmd"):
        line.parser.print_usage(sys.stderr)
        return 2
    config_file = options.config[-1] if isinstance(options.config, list) else options.config
    config = Config(file_=config_file, ini_section=options.name, cmd_opts=options)
    directory = os.environ.get("SERVICE_ALEMBIC_DIR") or os.environ.get("ENVOXY_ALEMBIC_DIR")
    if not directory and file is not None:
        directory = os.path.join(os.path.dirname(os.path.abspath(file)), "migrations")
    if directory:
        config.set_main_option("script_location", _prepared(directory).replace("%", "%%"))
    elif config_file == CONFIG and options.cmd[0].__name__ in _WRITING:
        print("SERVICE_ALEMBIC_DIR, where the service keeps its migrations, is not set, and there is no envoxy.json here", file=sys.stderr)
        return 2
    line.run_cmd(config, options)
    return 0


def _prepared(directory):
    """The absolute path of a script directory that has all that alembic wants."""
    directory = os.path.abspath(directory)
    os.makedirs(os.path.join(directory, "versions"), exist_ok=True)
    environment, template = os.path.join(directory, "env.py"), os.path.join(directory, "script.py.mako")
    if not os.path.exists(environment):
        with open(environment, "w", encoding="utf-8") as file:
            file.write(_PROXY)
    if not os.path.exists(template):
        shutil.copyfile(os.path.join(SCRIPTS, "script.py.mako"), template)
    return directory


if __name__ == "__main__":
    sys.exit(main())
