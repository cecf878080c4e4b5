"""What a service finds in uwsgi.opt before anything of it is imported, whichever application serves it: ours, or its own run.py."""


def prepare(options):
    """Put there what logs and views look for."""
    conf = options.get("conf_content") or {}
    log = conf.get("log") or {}
    options["log-level"] = bytes([int(log.get("level", 0))])
    options["log-format"] = log.get("format", "json")
    options["plugins"] = conf.get("plugins") or {}
    options.setdefault("credentials", {})
