"""python -m envoxy.tools.alembic.cli …: alembic with the configuration that comes with this package.

SERVICE_ALEMBIC_DIR (or ENVOXY_ALEMBIC_DIR) is where the service keeps its migrations: the directory is made when it is not there.
"""
import os
import shutil
import sys

from . import CONFIG, SCRIPTS

_PROXY = "from envoxy.tools.alembic.alembic.env import *  # noqa: F403\n"
_WRITING = ("revision", "merge")


def main(argv=None):
    """alembic's command line; the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        from alembic.config import CommandLine, Config
    except ImportError:
        print("the Python package alembic is missing: pip install alembic", file=sys.stderr)
        return 2
    line = CommandLine(prog="envoxy-alembic")
    options = line.parser.parse_args(["-c", CONFIG, *argv])
    if not hasattr(options, "cmd"):
        line.parser.print_usage(sys.stderr)
        return 2
    config_file = options.config[-1] if isinstance(options.config, list) else options.config
    config = Config(file_=config_file, ini_section=options.name, cmd_opts=options)
    directory = os.environ.get("SERVICE_ALEMBIC_DIR") or os.environ.get("ENVOXY_ALEMBIC_DIR")
    if directory:
        config.set_main_option("script_location", _prepared(directory).replace("%", "%%"))
    elif config_file == CONFIG and options.cmd[0].__name__ in _WRITING:
        print("SERVICE_ALEMBIC_DIR is not set: it says where the service keeps its migrations", file=sys.stderr)
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
