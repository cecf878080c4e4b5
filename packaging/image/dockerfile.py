"""Reads a Dockerfile: its stages, with their instructions. What it does not know is an error, never ignored."""
import json
import re
import shlex
from dataclasses import dataclass, field

KNOWN = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
FLAGS = {
    "FROM": {"platform"},
    "RUN": {"mount"},
    "COPY": {"from", "chmod", "chown"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}
VARIABLE = re.compile(r"\\(\$)|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


class Error(Exception):
    """What is wrong with a Dockerfile, or with its being carried out."""


@dataclass
class Instruction:
    line: int
    keyword: str
    rest: str
    flags: list = field(default_factory=list)  # pairs of a name and a value

    def exec_form(self):
        """The list of words of the JSON form; None: it is a command for the shell."""
        if not self.rest.startswith("["):
            return None
        try:
            words = json.loads(self.rest)
        except ValueError:
            words = None  # a shell gets it, as with Docker: almost always a mistake
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise Error(f"line {self.line}: {self.keyword} begins with [ but is no JSON list of strings: {self.rest}")
        return words


@dataclass
class Stage:
    base: str
    name: str
    instructions: list


def instructions(text):
    """Joins continued lines, drops comments and splits keyword, flags and the rest."""
    found, lines, begin = [], [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (lines and not line.strip()):
            continue
        begin = number if not lines else begin
        lines.append(line[:-1] if line.endswith("\\") else line)
        if not line.endswith("\\"):
            if line := "".join(lines).strip():
                found.append(instruction(begin, line))
            lines = []
    if lines:
        raise Error(f"line {begin}: the file ends in the middle of an instruction")
    return found


def instruction(number, line):
    keyword, _, rest = line.partition(" ")
    keyword = keyword.upper()
    if keyword not in KNOWN:
        raise Error(f"line {number}: {keyword} is not known here")
    flags, rest = [], rest.strip()
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        if match[1] not in FLAGS.get(keyword, ()):
            raise Error(f"line {number}: {keyword} --{match[1]} is not known here")
        flags.append((match[1], match[2]))
        rest = rest[match.end():]
    if rest.startswith("--"):
        raise Error(f"line {number}: {keyword} {rest.split()[0]} is not known here")
    return Instruction(number, keyword, rest, flags)


def stages(text, args):
    """Returns the stages in order. ARGs before the first FROM count for FROM alone; args, of the command line, override their values."""
    found, outside = [], dict(args)
    for one in instructions(text):
        if one.keyword == "FROM":
            words = one.rest.split()
            if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
                raise Error(f"line {one.line}: FROM IMAGE or FROM IMAGE AS NAME, not {one.rest}")
            found.append(Stage(expand(words[0], outside), words[2] if len(words) == 3 else "", []))
        elif found:
            found[-1].instructions.append(one)
        elif one.keyword == "ARG":
            name, _, value = one.rest.partition("=")
            outside.setdefault(name, value)
        else:
            raise Error(f"line {one.line}: {one.keyword} before FROM")
    return found


def expand(text, variables):
    """Replaces $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word}."""

    def value(match):
        dollar, bare, braced, operator, word = match.groups()
        if dollar:
            return "$"
        known = variables.get(bare or braced, "")
        if operator == "-":
            return known or word
        return word if operator == "+" and known else "" if operator == "+" else known

    return VARIABLE.sub(value, text)


def pairs(text, variables):
    """The NAME=VALUE words of ENV, quotes taken off."""
    found = {}
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals:
            raise Error(f"ENV {text}: NAME=VALUE is the only form known here")
        found[name] = expand(value, variables)
    return found
