"""A server with a certificate for the host "site", and clients that speak TLS to it."""
import json
import os
import socket
import ssl
import subprocess

from certificates import openssl

H1 = ["http/1.1"]


class Site:
    """A running server, the port where it speaks TLS, and the files of its certificate."""

    def __init__(self, server, port, cert, key):
        self.server, self.port, self.cert, self.key = server, port, cert, key

    def connect(self, name="site", context=None, session=None, receive_buffer=None, timeout=10):
        raw = socket.socket()
        raw.settimeout(timeout)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            raw.connect(("127.0.0.1", self.port))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return (context or client()).wrap_socket(raw, server_hostname=name, session=session)
        except Exception:
            raw.close()
            raise

    def ask(self, name="site", context=None, body=b""):
        with self.connect(name, context) as connection:
            return ask(connection, body)

    def exchange(self, data, **more):
        """All that comes on a connection for these bytes."""
        with self.connect(**more) as connection:
            connection.sendall(data)
            return rest_of(connection)

    def get(self, path="/"):
        """The body of a response."""
        return self.exchange(b"GET %s HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n" % path.encode()).split(b"\r\n\r\n", 1)[1]

    def shown(self, name, context=None):
        """The common name of the certificate that a client is shown."""
        with self.connect(name, context) as connection:
            der = connection.getpeercert(binary_form=True)
        text = openssl("x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "multiline", stdin=der).decode()
        return text.rsplit("=", 1)[1].strip()

    def s_client(self, *args):
        """What openssl s_client says, which ends at once; and whether there was a handshake."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20)
        text = done.stdout + done.stderr
        return text, "Cipher is (NONE)" not in text and done.returncode == 0


def client(certificate=None, version=None, ciphers=None, protocols=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def ask(connection, body=b""):
    connection.sendall(b"POST / HTTP/1.1\r\nHost: site\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    answer = rest_of(connection)
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    return json.loads(text)


def rest_of(connection):
    """All until the end, which must be TLS's own (close_notify): Python tells any other by an error."""
    connection.suppress_ragged_eofs = False
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


class Memory:
    """A client by hand: its records are made when told, and `pending` until sent."""

    def __init__(self, port, context=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client()).wrap_bio(self.incoming, self.outgoing, server_hostname="site")
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._until(self.tls.do_handshake)
        self.socket.sendall(self.outgoing.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def record(self, data):
        """The bytes of a record that holds data."""
        self.tls.write(data)
        return self.outgoing.read()

    def close_notify(self):
        """The bytes that say the end of what this client sends."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def read(self):
        """Some bytes of the server's; none at the end."""
        return self._until(lambda: self.tls.read(65536))

    def _until(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if waiting := self.outgoing.read():
                    self.socket.sendall(waiting)
                data = self.socket.recv(65536)
                if not data:
                    raise EOFError("the connection has ended without close_notify") from None
                self.incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def resident(pid):
    """Resident memory in bytes."""
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096
