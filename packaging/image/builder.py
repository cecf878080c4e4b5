"""Carries out the stages of a Dockerfile in directories, as root. An image is such a directory and its configuration."""
import copy
import fnmatch
import glob
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import accounts
from dockerfile import Error, Instruction, expand, pairs, stages

ENTER = Path(__file__).with_name("enter")
# What Docker leaves to a container, as setpriv writes it.
CAPABILITIES = "-all," + ",".join("+" + name for name in (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write setfcap").split())
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass
class Config:
    env: dict = field(default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    user: str = ""
    workdir: str = "/"
    entrypoint: list = field(default_factory=list)
    cmd: list = field(default_factory=list)
    healthcheck: list = None
    stopsignal: str = "SIGTERM"


@dataclass
class Image:
    root: Path
    config: Config = field(default_factory=Config)


def command(image, argv, user="", locked=False, extra=None):
    """How argv is run in the root of the image by util-linux and coreutils there: as the user, with the environment and the directory."""
    config = image.config
    uid, gid, home = accounts.resolve(image.root, user or config.user)
    env = {"HOME": home, **config.env, **(extra or {})}
    rights = ["--bounding-set=-all", "--no-new-privs"] if locked else [f"--bounding-set={CAPABILITIES}"]
    return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--inh-caps=-all", *rights,
            "/usr/bin/env", "-i", "-C", config.workdir, *(f"{name}={value}" for name, value in env.items()), *argv]


class Builder:
    def __init__(self, work, bases, args):
        """bases: images by the names that FROM and COPY --from may have; args: what --build-arg gives, and what BuildKit sets."""
        self.work, self.bases, self.args = Path(work), dict(bases), args

    def build(self, text, context, target=""):
        """Returns the image of the target, or of the last stage. Only the stages that it is made from are carried out."""
        all_stages = stages(text, self.args)
        names = [stage.name for stage in all_stages]
        if target and target not in names:
            raise Error(f"there is no stage {target}")
        last = names.index(target) if target else len(names) - 1
        for index in sorted(needed(all_stages, last, self.bases)):
            stage = all_stages[index]
            image = Run(self, stage, Path(context)).image
            if stage.name:
                self.bases[stage.name] = image
        return image

    def find(self, name):
        if name not in self.bases:
            raise Error(f"there is no image {name} here (there are {', '.join(sorted(self.bases))})")
        return self.bases[name]


def needed(all_stages, last, bases):
    """The indexes of the stages that the last one is made from, but for those that bases has an image for."""
    by_name = {stage.name: index for index, stage in enumerate(all_stages[:last + 1]) if stage.name and stage.name not in bases}
    found, open_ends = {last}, [last]
    while open_ends:
        stage = all_stages[open_ends.pop()]
        sources = {stage.base}
        for one in stage.instructions:
            for name, value in one.flags:
                sources.add(value if name == "from" else options(value).get("from", "") if name == "mount" else "")
        for index in {by_name[source] for source in sources if source in by_name} - found:
            found.add(index)
            open_ends.append(index)
    return found


def options(text):
    return dict(item.partition("=")[::2] for item in text.split(","))


class Run:
    """One stage; when it has been made, image is its result."""

    def __init__(self, builder, stage, context):
        self.builder, self.context, self.args = builder, context, {}
        base = builder.find(stage.base)
        root = builder.work / f"{len(os.listdir(builder.work))}-{stage.name or 'image'}"
        subprocess.run(["cp", "-a", base.root, root], check=True)
        self.image = Image(root, copy.deepcopy(base.config))
        self.cmd_is_set = False
        for one in stage.instructions:
            try:
                getattr(self, one.keyword.lower())(one)
            except Error as error:
                raise Error(f"line {one.line}: {one.keyword}: {error}") from None

    def expand(self, text):
        return expand(text, {**self.args, **self.image.config.env})

    def arg(self, one):
        name, equals, value = one.rest.partition("=")
        self.args.pop(name, None)
        if name in self.builder.args or equals:
            self.args[name] = self.builder.args.get(name, self.expand(value))

    def env(self, one):
        self.image.config.env.update(pairs(one.rest, {**self.args, **self.image.config.env}))

    def workdir(self, one):
        self.image.config.workdir = os.path.join(self.image.config.workdir, self.expand(one.rest))
        self.inside(self.image.config.workdir).mkdir(parents=True, exist_ok=True)

    def user(self, one):
        self.image.config.user = self.expand(one.rest)
        accounts.resolve(self.image.root, self.image.config.user)

    def expose(self, one):
        if not all(port.partition("/")[0].isdigit() for port in self.expand(one.rest).split()):
            raise Error(f"{one.rest} is no port")

    def stopsignal(self, one):
        self.image.config.stopsignal = one.rest

    def healthcheck(self, one):
        if one.rest == "NONE":
            self.image.config.healthcheck = None
            return
        keyword, _, rest = one.rest.partition(" ")
        if keyword != "CMD":
            raise Error(f"CMD or NONE, not {keyword}")
        self.image.config.healthcheck = words(Instruction(one.line, keyword, rest.strip()))

    def entrypoint(self, one):
        self.image.config.entrypoint = words(one)
        if not self.cmd_is_set:
            self.image.config.cmd = []  # that of the base was for another program

    def cmd(self, one):
        self.image.config.cmd, self.cmd_is_set = words(one), True

    def run(self, one):
        """Runs with the machine's network, which containers of docker build reach as well."""
        config = copy.deepcopy(self.image.config)
        config.env = {**self.args, **config.env}
        for name in ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "GOPROXY", "GOFLAGS", "http_proxy", "https_proxy"):  # of this machine
            if name in os.environ:
                config.env.setdefault(name, os.environ[name])
        binds = [(path, path) for path in ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES) if os.path.exists(path)]
        binds += [self.mount(options(value)) for _, value in one.flags]
        made = [self.place(source, target) for source, target in binds]
        argv = one.exec_form() or ["/bin/sh", "-c", one.rest]
        env = {**os.environ, "BINDS": "".join(f"{source} {target}\n" for source, target in binds)}
        done = subprocess.run([ENTER, self.image.root, *command(Image(self.image.root, config), argv)], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        for path in filter(None, reversed(made)):
            path.rmdir() if path.is_dir() else path.unlink()
        if done.returncode:
            raise Error(f"status {done.returncode}: {one.rest}\n{done.stdout[-4000:]}")

    def mount(self, wanted):
        if wanted.get("type") != "bind" or "target" not in wanted:
            raise Error("--mount: type=bind with a target is all that is known here")
        source = self.builder.find(wanted["from"]).root if "from" in wanted else self.context
        path = source / wanted.get("source", "").lstrip("/")
        if not path.exists():
            raise Error(f"--mount: there is no {path}")
        return str(path), wanted["target"]

    def place(self, source, target):
        """Makes the file or directory that source is bound to. Returns what has been made for that, or None."""
        path = self.inside(target)
        if path.exists():
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if os.path.isdir(source) else path.touch()
        return path

    def inside(self, path):
        return self.image.root / path.lstrip("/")

    def copy(self, one):
        flags = dict(one.flags)
        *sources, target = one.exec_form() or self.expand(one.rest).split()
        if not sources:
            raise Error("a source and a target are needed")
        source_root = self.builder.find(flags["from"]).root if "from" in flags else self.context
        ignored = () if "from" in flags else ignore_patterns(self.context)
        to = self.inside(os.path.join(self.image.config.workdir, target))
        wanted = [str(source_root / source.lstrip("/")) for source in sources]
        found = [match for pattern in wanted for match in sorted(glob.glob(pattern)) or [pattern]]
        many = len(found) > 1 or target.endswith("/") or target == "."
        for path in map(Path, found):
            files = list(listed(path, source_root, ignored))
            if not files:
                raise Error(f"there is no {path.relative_to(source_root)} in the context")
            for file in files:
                name = file.relative_to(path) if path.is_dir() else Path(path.name) if many or to.is_dir() else Path()
                self.put(file, to / name, flags)

    def put(self, file, to, flags):
        """Copies with the mode; the owner is root, or as --chown says."""
        for parent in reversed([parent for parent in to.parents if not parent.exists()]):
            parent.mkdir()
        if file.is_dir() and not file.is_symlink():
            to.mkdir(exist_ok=True)
        else:
            to.unlink(missing_ok=True)
            shutil.copy2(file, to, follow_symlinks=False)
        if to.is_symlink():
            return
        to.chmod(int(flags["chmod"], 8) if "chmod" in flags else file.stat().st_mode & 0o7777)
        uid, gid, _ = accounts.resolve(self.image.root, flags.get("chown", "0:0"))
        os.chown(to, uid, gid)


def words(one):
    return one.exec_form() or ["/bin/sh", "-c", one.rest]


def ignore_patterns(context):
    file = context / ".dockerignore"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith("#")]


def is_ignored(name, patterns):
    """By the name in the context: **/ is any directory, and * does not cross one. ! is not known here."""
    parts = name.split("/")
    for pattern in patterns:
        if pattern.startswith("!"):
            raise Error(f".dockerignore: {pattern}: ! is not known here")
        anywhere = pattern.startswith("**/")
        wanted = pattern[3:].split("/") if anywhere else pattern.split("/")
        for begin in range(len(parts) if anywhere else 1):
            here = parts[begin:begin + len(wanted)]
            if len(here) == len(wanted) and all(fnmatch.fnmatchcase(*pair) for pair in zip(here, wanted)):
                return True
    return False


def listed(path, root, ignored):
    """path and all below it, but for what is ignored."""
    if path != root and is_ignored(path.relative_to(root).as_posix(), ignored):
        return
    if path.is_symlink() or path.exists():
        yield path
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir()):
            yield from listed(child, root, ignored)
