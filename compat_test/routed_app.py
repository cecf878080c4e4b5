"""The application behind the rules of the tests, the files beside it, and how it is asked."""
APP = """
import uwsgi, io

def application(environ, start_response):
    path, given = environ["PATH_INFO"], environ.get("QUERY_STRING")
    headers = [("Content-Type", "text/plain"), ("X-App", "1"), ("X-Scheme", environ["wsgi.url_scheme"])]
    headers.append(("X-User", environ.get("REMOTE_USER", "-")))
    code = path.rsplit("/", 1)[1] if path.startswith("/status/") else "200"
    if path.endswith("/sized"):
        headers.append(("Content-Length", "11"))
    start_response(code + " Chosen", headers)
    if path.endswith("/generator"):
        return (piece for piece in (b"gene", b"", b"rated"))
    if path.endswith("/file"):
        return environ["wsgi.file_wrapper"](open("there.txt", "rb"))
    if path.endswith("/vars"):
        return ["\\n".join(f"{k}={v}" for k, v in sorted(environ.items()) if k.isupper() and isinstance(v, str)).encode("latin-1")]
    if path.endswith("/sized"):
        return [b"app body: 11"[:11]]
    return [b"app ", path.encode("latin-1")]

uwsgi.register_rpc("hello", lambda *words: b"hello " + b"|".join(words))
uwsgi.register_rpc("next", lambda: b"\\0")
uwsgi.register_rpc("app", lambda: b"\\1")
uwsgi.register_rpc("close", lambda: b"\\2")
uwsgi.register_rpc("bad", lambda: 1 / 0)
uwsgi.register_signal(17, "worker", lambda number: print("signal", number, flush=True))
"""
FILES = {"there.txt": "content\n", "www/a.txt": "static a\n", "secret.txt": "secret\n", "users": "joe:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
         "cgi/x.sh": '#!/bin/sh\nprintf "Content-Type: text/x\\nX-Cgi: 1\\n\\ncgi $PATH_INFO"\n'}
EXECUTABLE = ("sh", "-c", 'chmod +x cgi/*.sh; exec "$@"', "sh")


def request(path, lines, method="GET", end=False):
    host = [] if any(line.startswith("Host:") for line in lines) else ["Host: h"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *host, *lines, *(["Connection: close"] if end else []), "", ""]).encode()


def told(client, path, lines, method="GET"):
    """One exchange, on the connection if that is still there."""
    if not client.socket:
        client.open()
    client.socket.sendall(request(path, lines, method))
    return client.receive()
