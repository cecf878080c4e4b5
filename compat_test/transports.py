"""The ways by which requests come in; tests that take the `transport` fixture run once on each."""
import subprocess
import tempfile
from pathlib import Path

from http_client import eventually
from server import free_port


class Transport:
    """name; args: what the server is started with; port: where HTTP clients connect; keeps: whether it keeps connections;
    context: of TLS."""

    context = None

    def __init__(self, name, args, port, keeps, listens, nginx=None):
        self.name, self.args, self.port, self.keeps, self.listens, self.nginx = name, args, port, keeps, listens, nginx

    def close(self):
        if self.nginx:
            self.nginx.close()


def http_socket():
    port = free_port()
    return Transport("http-socket", ["--http-socket", f"127.0.0.1:{port}"], port, True, port)


def http():
    port = free_port()
    return Transport("http", ["--http", f"127.0.0.1:{port}", "--http-keepalive=30"], port, True, port)


def nginx():
    backend = free_port()
    front = Nginx(f"127.0.0.1:{backend}")
    return Transport("nginx", ["--socket", f"127.0.0.1:{backend}"], front.port, True, backend, front)


TRANSPORTS = {"http-socket": http_socket, "nginx": nginx, "http": http}


class Nginx:
    """A real nginx that passes every request to one uwsgi address and hides no failure of it. site is another server of it."""

    def __init__(self, upstream, site=""):
        self.dir = Path(tempfile.mkdtemp(prefix="envoxyd-nginx-"))
        self.port = free_port()
        temporary = " ".join(f"{kind}_temp_path {self.dir}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.dir / "nginx.conf").write_text(f"""
            worker_processes 1; daemon off; user root; pid {self.dir}/nginx.pid; error_log {self.dir}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 100000000; {temporary}
                server {{
                    listen 127.0.0.1:{self.port};
                    location / {{ include /etc/nginx/uwsgi_params; uwsgi_pass {upstream}; uwsgi_next_upstream off; }}
                }}
                {site}
            }}""")
        self.process = subprocess.Popen(
            ["nginx", "-c", self.dir / "nginx.conf", "-p", self.dir], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: (self.dir / "nginx.pid").exists() and (self.dir / "nginx.pid").read_text())

    def errors(self):
        return (self.dir / "error.log").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
