"""Rules of the internal routing and requests, made up from a seed out of what envoxyd and uWSGI 2.0 do in the same way.

Left out are uWSGI's mistakes: see INTENDED in test_routing_differential.py, and docs/routing.md.
"""
import base64
import random

PATTERNS = [  # and how many groups they have
    ("^/a", 0), ("^/a$", 0), ("b$", 0), (".*", 0), ("^/(.)", 1), ("^/([a-z]+)/?(\\d*)", 2), ("x|y", 0), ("^/(?!a)(.*)", 1),
    ("(a)(z)?", 2), ("^$", 0), ("[0-9]{2,}", 0), ("^/u/(\\w+)/(\\d+)$", 2), ("(?i)^/A", 0), ("(\\w)\\1", 1),
    ("h\\.", 0), ("curl", 0), ("q=(\\w+)", 1), ("^127\\.", 0),
]
SUBJECTS = ["route"] * 6 + [
    "route-host", "route-uri", "route-uri", "route-qs", "route-user-agent", "route-remote-user", "route-referer", "route-remote-addr",
]
VARIABLES = ["PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD", "REMOTE_USER", "HTTP_HOST", "REMOTE_ADDR", "V0", "V1", "NONE"]
FUNCTIONS = ["qs[q]", "qs[n]", "qs[none]", "cookie[k]", "cookie[none]", "base64[PATH_INFO]", "hex[HTTP_HOST]", "base64[NONE]",
             "uwsgi[wid]", "nothing[x]"]
CONDITIONS = [
    "equal:{};{}", "startswith:{};{}", "endswith:{};{}", "contains:{};{}", "empty:{}", "ishigher:{};{}",
    "<:{};{}", ">=:{};{}", "<=:{};{}",
    "==:${{REQUEST_METHOD}};GET", "exists:there.txt", "exists:none.txt", "isfile:there.txt", "isdir:.", "isfile:.",
    "empty:${{QUERY_STRING}}",
    "ipv4in:${{REMOTE_ADDR}};127.0.0.0/8", "ipv4in:${{REMOTE_ADDR}};10.0.0.0/8",
    "ipv6in:::1;::/64", "equal:{}", "islower:${{qs[n]}};10",
]
STATUSES = ["403 Forbidden", "404", "410", "500 Oops"]
PATHS = ["/", "/a", "/ab", "/a/12", "/u/joe/42", "/b", "/x/y/b", "/A", "/aa", "/static", "/status/404", "/status/500",
         "/status/200", "/0123", "/z%20z"]
QUERIES = ["", "?", "?q=1", "?q=abc&n=7", "?n=12&q=", "?n", "?q=%20x&x=y", "?a=q=1"]
HOSTS = ["h.example", "other.example:80", "a"]
KNOWN, WRONG = (base64.b64encode(text).decode() for text in (b"joe:secret", b"joe:no"))
HEADERS = [[], ["User-Agent: curl/8"], ["Cookie: k=v; j=2"], ["Cookie: x=1;k=\"w\"; k=2"], ["Referer: http://a/b"],
           ["Authorization: Basic " + KNOWN], ["Authorization: Basic " + WRONG]]


class Routes:
    """One made-up table of rules (`args`, of the command line) and requests for it."""

    def __init__(self, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.labels = 0
        self.open = []  # labels that a rule jumps to, and that are still to come
        self.args = []
        for _ in range(self.random.randint(3, 14)):
            self.rule()
        for label in self.open:
            self.args += ["--route-label", label]
        self.args += ["--route-run", "addheader:X-End: ${V0}"]
        for _ in range(self.random.randint(0, 3)):
            self.later_rule()
        self.requests = [self.request() for _ in range(12)]

    def pick(self, words):
        return self.random.choice(words)

    def chance(self, probability):
        return self.random.random() < probability

    def rule(self):
        if self.open and self.chance(0.3):
            self.args += ["--route-label", self.open.pop()]
        kind = self.random.random()
        if kind < 0.6:
            pattern, groups = self.pick(PATTERNS)
            self.args += ["--" + self.pick(SUBJECTS), f"{pattern} {self.action(groups)}"]
        elif kind < 0.85:
            self.args += [self.pick(["--route-if", "--route-if-not"]), f"{self.condition()} {self.action(None)}"]
        else:
            self.args += ["--route-run", self.action(None)]

    def condition(self):
        if self.chance(0.2):
            return "regexp:" + self.operand() + ";" + self.pick(["^/a", "b", "^$", "[0-9]", "."])
        return self.pick(CONDITIONS).format(self.operand(), self.operand())

    def operand(self):
        return self.pick(["a", "b", "/a", "12", "7", "", "-3", "${PATH_INFO}", "${V0}", "${qs[q]}", "${qs[n]}", "${HTTP_HOST}"])

    def text(self, groups):
        """Text with captures, if the rule's expression has groups: uWSGI crashes of $0 in other rules."""
        parts = []
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.random()
            if kind < 0.3:
                parts.append(self.pick(["a", "x-", "$-", "$$", "1", ":", "{", "}"]))
            elif kind < 0.55:
                parts.append("${" + self.pick(VARIABLES) + "}")
            elif kind < 0.75:
                parts.append("${" + self.pick(FUNCTIONS) + "}")
            elif groups:
                parts.append(f"${self.random.randint(0, groups)}")
            parts.append(self.pick(["", "", "-", " "]))
        return "".join(parts).strip().rstrip("$") or "t"  # uWSGI loses a $ at the end where there are groups

    def action(self, groups):
        kind = self.random.random()
        text = self.text(groups)
        if kind < 0.25:
            return f"addheader:X-{self.pick('ABC')}: {text}"
        if kind < 0.45:
            return f"addvar:V{self.random.randint(0, 2)}={text}"
        if kind < 0.55:
            return f"log:R: {text}"
        if kind < 0.62:
            self.labels += 1
            self.open.append(f"l{self.labels}")
            return f"goto:l{self.labels}"
        if kind < 0.68:
            where = self.pick(["/n/$1", "/n?c=$1"] if groups == 1 else ["/new", "/a/../b", "/p?x=1", "/${V0}", "/%41b", "/p?"])
            return self.pick(["rewrite:", "rewrite:", "rewrite-last:"]) + where
        if kind < 0.74:
            return self.pick(["setuser:", "setpathinfo:/", "seturi:/", "setremoteaddr:"]) + self.pick(["ann", "10.0.0.1", "b/12"])
        if kind < 0.78:
            return self.pick(["setmethod:PUT", "setdocroot:/srv", "setscheme:https", "setapp:x"])
        if kind < 0.82:
            return self.pick(["delheader:X-App", "remheader:x-app", "donotlog:", "flush:", "fixcl:"])
        if kind < 0.86:
            key, algorithm = self.pick(["${PATH_INFO}", "${REQUEST_URI}", "k"]), self.pick(["djb33x", "murmur2"])
            return f"hash:key={key},items=a;b;c;d,var=V2,algo={algorithm}"
        if kind < 0.90:
            return self.pick(["basicauth:R,joe:secret", "basicauth-next:R1,joe:secret", "basicauth:R,"])
        return self.pick([
            f"break:{self.pick(STATUSES)}", f"return:{self.pick(['404', '410', '403'])}", "last:", "continue:", "last:",
            f"redirect:/to/{text}", "redirect-permanent:http://b/${PATH_INFO}", "static:DIR/there.txt",
            "file-next:filename=DIR/none.txt", "static-next:DIR/none.txt"])

    def later_rule(self):
        action = self.pick(["addheader:X-Later: ${uwsgi[status]} ${V0}",
                            "log:R: later ${uwsgi[status]} ${PATH_INFO}", "addheader:X-Else: ${REMOTE_USER}"])
        stage = self.pick(["error", "response"])
        self.args += self.pick([
            [f"--{stage}-route-run", action], [f"--{stage}-route-status", f"{self.pick(['200', '404', '403', '401'])} {action}"],
            [f"--{stage}-route", f"^/(.) {action}"], [f"--{stage}-route-if", f"equal:${{uwsgi[status]}};404 {action}"],
            ["--error-route-status", f"{self.pick(['404', '500'])} {self.pick(['break:503 Down', 'redirect:/sorry'])}"],
        ])

    def request(self):
        lines = [f"GET {self.pick(PATHS)}{self.pick(QUERIES)} HTTP/1.0", f"Host: {self.pick(HOSTS)}", *self.pick(HEADERS)]
        return "\r\n".join([*lines, "", ""]).encode()
