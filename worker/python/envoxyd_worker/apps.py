"""Finding applications: --module, --wsgi-file, --eval, --mount."""
import errno
import importlib
import importlib.util
import os
import sys
import time
import types
from collections import namedtuple

from . import collisions, dynamic, log
from .failures import NotFound, report_import
from .signals import ignore_broken_pipes

NOT_LOADED = "unable to load app %d (mountpoint='%s') (callable not found or import error)"
IN_USE = (
    "*** the previous generation, which serves until this one is loaded, may hold that address: a server that the application starts"
    " while it is imported needs SO_REUSEPORT, or is better started by uwsgidecorators.postfork in one worker ***"
)
LISTED = 10  # names in a message

Loaded = namedtuple("Loaded", "point app seconds")
loaded = []  # in the order of their numbers, as workers() tells them


def load(spec, uwsgi, step):
    """{mountpoint: application}, "" being the default one; raises SystemExit(22) when one that is needed is missing."""
    python = spec["python"]
    name_again(python["aliases"])
    for name in [*(python["early_imports"] or ()), *(python["shared_imports"] or ())]:
        step(f"importing {name}")
        import_or_run(name)
    named = [mount(text) for text in python["mounts"] or ()]
    if python["paste"]:
        named.insert(0, ("", ("paste", python["paste"])))
        if python["paste_logger"]:
            paste_logger(python["paste"])
    if python["pecan"]:
        named.insert(0, ("", ("pecan", python["pecan"])))
    if python["wsgi_file"]:
        named.insert(0, ("", ("file", python["wsgi_file"])))
    if python["modules"]:
        named.insert(0, ("", ("module", python["modules"][-1])))
    if python["eval"]:
        named.insert(0, ("", ("eval", python["eval"])))
    found = {}
    failure = load_named(spec, uwsgi, named, found, step)
    name_again(python["post_aliases"])
    mounted = uwsgi.__dict__.get("applications")
    if isinstance(mounted, dict):
        for point, app in mounted.items():
            if normal(point) not in found:
                found[normal(point)] = app
                loaded.append(Loaded(normal(point), app, 0))
    points = {point for point, _ in named} | {mount(text)[0] for text in python["worker_mounts"] or ()}
    if python["need_app"] and len(found) + len(python["worker_mounts"] or ()) < max(len(points), 1):
        lack(spec, failure)
    if not found and not python["worker_mounts"]:
        log.line("*** no app loaded. going in full dynamic mode ***")
    return found


def lack(spec, failure):
    """Ends a process that lacks an application that is needed; failure is why, as far as that is known."""
    log.line("*** no app loaded. GAME OVER ***" if not spec.get("generation") else "*** no app loaded ***")
    raise SystemExit(22) from failure


def load_in_worker(spec, uwsgi, found):
    """The applications of --worker-mount beside those that are there."""
    texts = spec["python"]["worker_mounts"]
    if not texts:
        return found
    found, named = dict(found), [mount(text) for text in texts]
    failure = load_named(spec, uwsgi, named, found, lambda step: None)
    if spec["python"]["need_app"] and any(point not in found for point, _ in named):
        lack(spec, failure)
    return found


def load_named(spec, uwsgi, named, found, step):
    """Adds to found what can be loaded of (mountpoint, source)s, and tells of the others. Returns the last error; None: there was none."""
    python, failure = spec["python"], None
    watch = collisions.Watch() if len(named) > 1 else None
    for number, (point, source) in enumerate(named, len(found)):
        if point in found:
            continue
        start = time.monotonic()
        step(f"loading {source[1]}")
        for warning in watch.warnings(point, source) if watch else ():
            log.line(warning)
        before = set(sys.modules)
        try:
            found[point] = find(source, python["paste_name"] if source[0] == "paste" else python["callable"])
        except SystemExit:
            raise
        except BaseException as error:
            failure = error
            report_import(error)
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE and getattr(uwsgi, "is_a_reload", False):
                log.line(IN_USE)
            log.line(NOT_LOADED % (number, point))
            continue
        finally:
            if watch:
                watch.loaded(point, before)
        kind = " (default app)" if point == "" else ""
        seconds = int(time.monotonic() - start)
        loaded.append(Loaded(point, found[point], seconds))
        log.line(
            f"WSGI app {number} (mountpoint='{point}') ready in {seconds} seconds"
            f" on interpreter {hex(id(sys.modules))} pid: {os.getpid()}{kind}"
        )
    return failure


def normal(point):
    """A mountpoint as it is given: SCRIPT_NAME is the same text. But "/" is the same as none."""
    return point if point.strip("/") else ""


def mount(text):
    point, equals, source = text.partition("=")
    if not equals:
        log.line(f"invalid mountpoint: {text} (it must be /path=application)")
        raise SystemExit(1)
    is_file = source.endswith((".py", ".wsgi")) or "/" in source
    return normal(point), ("file" if is_file else "module", source)


def find(source, default):
    """The application that a (kind, text) names."""
    try:
        return named_by(*source, default)
    finally:
        ignore_broken_pipes()


def named_by(kind, text, default):
    if kind == "paste":
        return paste(text, default)
    if kind == "pecan":
        return pecan(text)
    default = default or "application"
    if kind == "eval":
        module = types.ModuleType("uwsgi_eval")
        exec(compile(text, "<eval>", "exec"), module.__dict__)
        return callable_of(module, default, "the text of --eval")
    if kind == "file":
        path, name = text, default
        if not os.path.exists(path) and ":" in path:
            path, _, name = path.rpartition(":")
        return callable_of(import_file(path), name, path)
    name, _, attribute = text.partition(":")
    module = importlib.import_module(name)
    file = getattr(module, "__file__", None)
    return callable_of(module, attribute or default, f"module {name} ({file})" if file else f"module {name}")


def import_file(path):
    """Runs a file as a module, under uWSGI's name for it."""
    name = "uwsgi_file_" + os.path.splitext(path)[0].replace("/", "_").replace(".", "_")
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    module.__file__ = path
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def callable_of(module, name, where):
    called = name.endswith("()")
    target = module
    for part in name[: -2 if called else None].split("."):
        if not hasattr(target, part):
            raise NotFound(f"{where}: there is no {name!r} in it; {contents(module)}")
        target = getattr(target, part)
    app = target() if called else target
    if not callable(app):
        raise NotFound(f"{where}: {name!r} is of type {type(app).__name__} and cannot be called; {contents(module)}")
    return app


def contents(module):
    """What of a module could have been meant: instances that can be called first, then functions and classes of its own."""
    found = [(name, value) for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    instances = [name for name, value in found if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType))]
    names = instances + [name for name, value in found if name not in instances and getattr(value, "__module__", "") == module.__name__]
    if not names:
        return "nothing in it can be called"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return "what can be called there: " + ", ".join(names[:LISTED]) + more


def paste_uri(text):
    """PasteDeploy wants an absolute path."""
    scheme, colon, path = text.partition(":")
    if not colon:
        scheme, path = "config", text
    return f"{scheme}:{os.path.abspath(path)}" if scheme == "config" else text


def paste(text, name):
    """The application of a Paste configuration; name chooses one of several."""
    try:
        from paste.deploy import loadapp
    except ImportError:
        raise ModuleNotFoundError("--paste needs PasteDeploy in the deployment's Python: pip install PasteDeploy", name="paste") from None
    return loadapp(paste_uri(text), name=name or None)


def pecan(path):
    """The application of a Pecan configuration."""
    try:
        from pecan.deploy import deploy
    except ImportError:
        raise ModuleNotFoundError("--pecan needs pecan in the deployment's Python: pip install pecan", name="pecan") from None
    return deploy(path)


def paste_logger(text):
    """Logging as the Paste configuration has it, where it has loggers."""
    import configparser
    import logging.config

    path = paste_uri(text).partition(":")[2].partition("#")[0]
    parser = configparser.RawConfigParser()
    parser.read(path)
    if parser.has_section("loggers"):
        logging.config.fileConfig(path, {"here": os.path.dirname(path), "__file__": path}, disable_existing_loggers=False)


def import_or_run(name):
    """--import and its kin take a module or a file."""
    if name.endswith(".py"):
        import_file(name)
    elif not name.startswith("sym://"):  # symbols of a uWSGI binary: there are none here
        importlib.import_module(name)


def name_again(aliases):
    """Imports modules, or runs files, under other names: ALIAS=MODULE."""
    for text in aliases or ():
        name, _, source = text.partition("=")
        sys.modules[name] = import_file(source) if source.endswith(".py") else importlib.import_module(source)


MAX_PAGE = 1 << 20  # bytes


class Mounts:
    """Several applications under one roof, chosen by SCRIPT_NAME or, with --manage-script-name, by path."""

    def __init__(self, found, python, extension, counts=None):
        self.counts = counts
        self.apps = found
        self.numbers = {point: number for number, point in enumerate(found)}
        self.by_path = python["manage_script_name"]
        points = sorted((p for p in found if p), key=len, reverse=True)
        self.paths = [(p.rstrip("/"), p) for p in points]  # "/foo/" is the place of "/foo", too
        default = None if python["no_default_app"] else ("" if "" in found else next(iter(found), None))
        self.default = default
        self.set_app = extension.set_app
        self.pages = python.get("error_pages_500") or ()
        self.ignores_script_name = python["ignore_script_name"]
        self.host = ("HTTP_HOST" if python["vhost_host"] else "SERVER_NAME") if python["vhost"] else None
        self.dynamic = dynamic.Apps(python["max_apps"]) if python["dynamic_apps"] else None

    def __call__(self, environ, start_response):
        if self.dynamic and (named := self.dynamic.named_by(environ)):
            self.set_app(-1)
            return named(environ, start_response)
        host = environ.get(self.host, "") if self.host else ""
        if "/" in host:  # it would be taken for a path
            host = ""
        if self.by_path:
            point = self.split(environ, host)
        else:
            point = "" if self.ignores_script_name else environ.get("SCRIPT_NAME", "")
            if point + "/" in self.apps and point not in self.apps:
                point += "/"
            if host and host + point in self.apps:
                point = host + point
        if point not in self.apps:
            point = self.default
        app = self.apps.get(point)
        if app is None:
            return no_app(start_response, self.set_app, self.pages)
        number = self.numbers[point]
        self.set_app(number)
        if self.counts is None:
            return app(environ, start_response)
        self.counts.request(number)
        try:
            return app(environ, start_response)
        except BaseException:
            self.counts.exception(number)
            raise

    def split(self, environ, host):
        """The mount point of the request's path; those of its host, HOST/PATH, come first."""
        path = environ.get("PATH_INFO", "")
        for prefix in (host, "") if host else ("",):
            for place, point in self.paths:
                if not place.startswith(prefix):
                    continue
                below = place[len(prefix):]
                if (below.startswith("/") or not below and prefix) and (path == below or path.startswith(below + "/")):
                    environ["SCRIPT_NAME"], environ["PATH_INFO"] = point[len(prefix):], path[len(below):]
                    return point
        environ["SCRIPT_NAME"] = ""
        return ""


def no_app(start_response, set_app, pages):
    """The answer where there is no application: the first of the pages that can be read, as worker/errorpages.go has it."""
    log.line("--- no python application found, check your startup logs for errors ---")
    set_app(-1)
    kind, body = "text/plain", b"Internal Server Error"
    for name in pages:
        try:
            if os.path.isfile(name) and os.path.getsize(name) <= MAX_PAGE:
                with open(name, "rb") as file:
                    kind, body = "text/html", file.read(MAX_PAGE)
                break
        except OSError:
            continue
    start_response("500 Internal Server Error", [("Connection", "close"), ("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def choose(found, python, extension, counts=None):
    """What the cores call: the only application itself, if that is all; where there are several, their requests are counted."""
    if list(found) == [""] and not any(python[name] for name in ("no_default_app", "manage_script_name", "dynamic_apps")):
        return found[""]
    return Mounts(found, python, extension, counts)
