"""Configurations made up from a seed, out of the constructs that envoxyd and uWSGI 2.0.31 read in the same way.

Left out are uWSGI's mistakes, which test_show_config_differential.py names one by one, and what 2.0 does not have yet.
"""
import random

# Options of both, whose values are free text, a number, or a yes or no; none of them makes --no-server do anything.
TEXTS = ["procname-prefix", "logformat", "py-tracebacker", "log-format", "procname-append", "pyargv", "static-index", "add-header"]
NUMBERS = ["processes", "threads", "harakiri", "max-requests", "buffer-size", "listen", "socket-timeout", "limit-post", "reload-mercy"]
PLAIN_NUMBERS = ["processes", "listen"]  # uWSGI takes none for 0 processes, which is refused here; for listen see INTENDED
FLAGS = ["master", "vacuum", "need-app", "lazy-apps", "enable-threads", "disable-logging", "log-5xx", "die-on-term", "no-orphans"]
OWN = ["base", "project", "app_name", "colour", "depth", "a key", "Base", "some-name"]
MAGIC_FIRST = ["%D", "%N", "%X", "%S"]  # of the first file, which uWSGI knows only when an option has named it
MAGIC = ["%d", "%n", "%s", "%e", "%x", "%c", "%v", "%h", "%k", "%u", "%g", "%U", "%G", "%p",
         "%o", "%0", "%1", "%i", "%j", "%%"]
ENVIRONMENT = {"SITE": "shop", "COUNT": "3", "EMPTY": "", "NEST": "%(base)", "SPACED": "a b  c"}
CONDITIONS = {
    "if-env": ["SITE", "COUNT", "EMPTY", "UNSET", "SITE=shop", "SITE=other", "EMPTY="],
    "if-not-env": ["SITE", "UNSET", "COUNT=3", "COUNT=4"],
    "if-opt": ["processes", "master=true", "unheard", "base=x"],
    "if-not-opt": ["threads", "unheard", "vacuum=true"],
    "if-exists": ["word.txt", "none", "."],
    "if-not-exists": ["word.txt", "none"],
    "if-file": ["word.txt", "sub", "none"],
    "if-not-file": ["word.txt", "sub", "none"],
    "if-dir": ["word.txt", "sub", "none"],
    "if-not-dir": ["word.txt", "sub", "none"],
    "for": ["a", "a b c", "one  two", "1 2"],
    "for-times": ["0", "1", "3"],
    "for-glob": ["sub/*", "none-*", "*.txt"],
    "for-readline": ["lines.txt"],
}
ENDS = ["endif", "end-if", "endfor", "end-for"]
FILES = {"word.txt": "word\n", "number.txt": "42", "lines.txt": "first\nsecond line\nthird\n",
         "sub/one": "", "sub/two": "", "sub/deep/x": ""}


class Configuration:
    """One made-up case: files, the command line behind the program's name, and variables."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.files = dict(FILES)
        self.env = dict(ENVIRONMENT)
        self.number = 0
        self.args = self.command_line()

    def pick(self, words):
        return self.random.choice(words)

    def chance(self, probability):
        return self.random.random() < probability

    def command_line(self):
        args = []
        kind = self.pick(["ini", "ini", "ini", "ini", "yaml", "positional"])
        self.magic = MAGIC + (MAGIC_FIRST if kind != "positional" else [])
        for _ in range(self.random.randint(0, 4)):
            args += self.word()
        where = self.random.randint(0, len(args)) if self.chance(0.2) and not args else len(args)
        name = self.ini_file() if kind != "yaml" else self.yaml_file()
        if kind == "positional":
            args[where:where] = [name]
        else:
            # (uWSGI loses the section of a yaml file in what it shows of its command line)
            section = ":" + self.pick(["uwsgi", "other"]) if kind == "ini" and self.chance(0.2) else ""
            args[where:where] = ["--" + kind, name + section]
        for _ in range(self.random.randint(0, 3)):
            args += self.word()
        for name in self.random.sample(NUMBERS, self.random.randint(0, 2)):
            self.env["UWSGI_" + name.upper().replace("-", "_")] = str(self.random.randint(1, 9))
        return args

    def word(self):
        """One option on the command line, in one of its spellings."""
        kind = self.random.randint(0, 5)
        if kind == 0:
            return ["--" + self.pick(FLAGS)]
        if kind == 1:
            return [f"--{self.pick(NUMBERS)}={self.random.randint(1, 9)}"]
        if kind == 2:
            return ["--" + self.pick(NUMBERS), str(self.random.randint(1, 9))]
        if kind == 3:
            return ["--set", f"{self.pick(OWN)}={self.value()}"]
        if kind == 4:
            return ["--set-ph", f"{self.pick(['base', 'project', 'colour'])}={self.pick(['x', 'y/z', '7', '%(depth)'])}"]
        return [self.pick(["-M", "-p3", "-l7", "-Mp2", "-t9", "-L"])]

    def name_file(self, suffix):
        self.number += 1
        return self.pick(["", "sub/"]) + f"file{self.number}.x{suffix}"

    # --- ini

    def ini_file(self, depth=0):
        name = self.name_file(".ini")
        self.files[name] = ""  # a name that nested files do not take
        sections = ["uwsgi", "other", "uwsgi"][:self.random.randint(1, 3)]
        lines = []
        if self.chance(0.1):
            lines.append("before = any section")
        for index, section in enumerate(sections):
            lines.append(f"{self.pick(['', '', ' '])}[{section}]")
            lines += self.body(depth, main=section == "uwsgi" and index == 0 and "other" in sections)
        self.files[name] = self.pick(["\n", "\n", "\n", "\r\n"]).join(lines) + "\n"
        return name

    def body(self, depth, main):
        lines = self.random.sample(["fixed = 4", "number=17", "depth = deep"], self.random.randint(0, 3))
        for _ in range(self.random.randint(2, 10)):
            kind = self.random.random()
            if kind < 0.12:
                lines.append(self.pick(["", "  ", "; a comment", "# another = one", "\t; indented"]))
            elif kind < 0.32:
                lines += self.block()
            elif kind < 0.40 and depth < 2:
                lines.append(self.nested(depth, main))
            else:
                lines.append(self.setting())
        return lines

    def nested(self, depth, main):
        if main and self.chance(0.4):
            return "ini = :other"
        option = self.pick(["ini", "include", "inherit"])
        return f"{option} = {self.ini_file(depth + 1)}"

    def block(self):
        """Logic around a few plain settings: blocks do not nest."""
        option = self.pick(list(CONDITIONS))
        lines = [f"{option} = {self.pick(CONDITIONS[option])}"]
        for _ in range(self.random.randint(0, 3)):
            lines.append(self.setting(self.pick(["%(_)", "x%(_)y", "%(_) %(_)", None])))
        return [*lines, self.pick(ENDS) + self.pick([" =", "", " = true"])]

    def setting(self, value=None):
        equals = self.pick([" = ", "=", " =", "= ", "\t=\t"])
        if value is None and self.chance(0.25):
            flag = self.pick(FLAGS)
            return flag if self.chance(0.3) else flag + equals + self.pick(["true", "1", "on", "false", "no", "0", "True", ""])
        if value is None and self.chance(0.3):
            plain = str(self.random.randint(1, 9))
            number = self.pick(NUMBERS)
            if number in PLAIN_NUMBERS:
                return number + equals + plain
            return number + equals + self.pick([plain, "%(1 + 2)", "%(%k * 2)", "$(COUNT)", "5 ; five", "%(12 / 4)"])
        return self.pick(TEXTS + OWN + OWN) + equals + (self.value() if value is None else value) + self.pick(["", "", " ", "\t"])

    def value(self):
        """Text with placeholders; none at its very beginning whose value has placeholders itself."""
        parts = [self.pick(["x", "v ", "/srv/", "a=b ", "- "])]
        for _ in range(self.random.randint(0, 3)):
            parts.append(self.part())
            parts.append(self.pick(["", "", "-", "/", " ", "ä", " ; no comment", " # none"]))
        return "".join(parts).rstrip()

    def part(self):
        kind = self.random.randint(0, 6)
        if kind == 0:
            return self.pick(self.magic)
        if kind == 1:
            return f"$({self.pick(['SITE', 'COUNT', 'UNSET', 'EMPTY', 'SPACED'])})"
        if kind == 2:
            return self.pick(["@(word.txt)", "@(number.txt)"])
        if kind == 3:
            return f"%({self.pick(['unheard', 'processes', 'master', 'fixed', 'number'])})"
        if kind == 4:
            return self.pick(["%(2 + 3)", "%(fixed + 1)", "%(10 / 3)", "%(7 - 9)", "%(4 * 5 + 1)", "%(1 2)", "%(9 / 0)", "%(fixed ++)"])
        if kind == 5:
            return self.pick(["${SITE}", "$SITE", "%(", "a%%b", "()", "$$", "@x", "%()"])
        return self.pick(["text", "UTF-8 é", "'quoted'", '"quoted"', "back\\slash", "[brackets]", "a:b"])

    # --- yaml: the part that every parser reads in the same way

    def yaml_file(self):
        name = self.name_file(self.pick([".yaml", ".yml"]))
        lines = []
        for section in ["uwsgi", "other"]:
            lines.append(section + ":")
            for _ in range(self.random.randint(1, 6)):
                lines.append(f"  {self.yaml_setting()}")
        self.files[name] = "\n".join(lines) + "\n"
        return name

    def yaml_setting(self):
        kind = self.random.randint(0, 2)
        if kind == 0:
            return f"{self.pick(FLAGS)}: {self.pick(['true', 'false', '1', 'on'])}"
        if kind == 1:
            return f"{self.pick(NUMBERS)}: {self.random.randint(1, 9)}"
        value = self.pick(["", "$(SITE)", "%n", "/%(depth)", "@(word.txt)", "%(2 + 3)"])
        return f"{self.pick(['base', 'project', 'colour', 'logformat'])}: x{value}"
