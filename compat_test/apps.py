"""The small WSGI applications that the servers under test serve."""

ANSWER = """
def answer(start_response, text, status="200 OK"):
    body = text.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def versioned(version):
    """Answers `VERSION PID`; /hold/NAME first makes a file `held-NAME` and waits for a file `release`."""
    return f"""
import os, time
{ANSWER}
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/hold/"):
        open("held-" + path[6:], "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    return answer(start_response, f"{version} {{os.getpid()}}")
"""


# Notes each request's query string and its own pid in the file `entered`, then answers its pid.
NOTING = f"""
import os
{ANSWER}
notes = os.open("entered", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def application(environ, start_response):
    os.write(notes, f"{{environ['QUERY_STRING']}} {{os.getpid()}}\\n".encode())
    return answer(start_response, str(os.getpid()))
"""

# Reads the whole request body; /big answers 8 MB, anything else a few bytes.
BIG = f"""
{ANSWER}
LARGE = "x" * (8 << 20)

def application(environ, start_response):
    environ["wsgi.input"].read()
    return answer(start_response, LARGE if environ["PATH_INFO"] == "/big" else "small")
"""
