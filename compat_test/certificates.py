"""Certificates for tests, made by openssl(1): an authority of its own for each test, in the test's directory."""
import subprocess


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, check=True).stdout


class Authority:
    """Signs certificates; `path` is the authority's own, PEM."""

    def __init__(self, directory, name="Test CA"):
        self.dir, self.name = directory, name
        self.path = directory / f"{name.replace(' ', '_')}.ca.crt"
        self.key = self.path.with_suffix(".key")
        openssl("req", "-x509", *NEW_KEY, "-keyout", self.key, "-out", self.path, "-days", 2, "-subj", f"/O=Tests/CN={name}")

    def issue(self, name, subject=None, directory=None):
        """NAME.crt and NAME.key, for the host NAME or, with a subject (/C=DE/CN=x), a client."""
        directory = directory or self.dir
        cert, key, request, extensions = (directory / f"{name}{suffix}" for suffix in (".crt", ".key", ".csr", ".ext"))
        openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", subject or f"/CN={name}", "-utf8")
        extensions.write_text(f"subjectAltName = DNS:{name}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-CAcreateserial", "-days", 2,
                "-extfile", extensions, "-out", cert)
        request.unlink()
        extensions.unlink()
        return cert, key


NEW_KEY = ["-newkey", "rsa:2048", "-nodes"]
