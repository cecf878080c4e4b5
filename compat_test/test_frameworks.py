"""Flask, Django and Bottle as they are, and the options by which an application is named."""
import sys

import pytest
from http_client import get

VENV = ["--master", "--virtualenv", sys.prefix]

FLASK = """
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/cards/<int:number>")
def card(number):
    return jsonify(number=number, colour=request.args.get("colour"))
"""

DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(SECRET_KEY="a test's", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])

def card(request, number):
    return JsonResponse({"number": number, "colour": request.GET.get("colour")})

urlpatterns = [path("cards/<int:number>", card)]
application = get_wsgi_application()
"""

BOTTLE = """
import bottle
application = bottle.Bottle()

@application.route("/cards/<number:int>")
def card(number):
    return {"number": number, "colour": bottle.request.query.colour}
"""

SITES = {"flask": (FLASK, "site_app:app"), "django": (DJANGO, "site_app"), "bottle": (BOTTLE, "site_app")}


@pytest.mark.parametrize("lazy", [[], ["--lazy-apps"]], ids=["preforked", "lazy-apps"])
@pytest.mark.parametrize("site", SITES)
def test_framework(server, transport, site, lazy):
    pytest.importorskip(site)
    code, module = SITES[site]
    server(transport, [*VENV, *lazy, "--processes", "2", "--module", module], files={"site_app.py": code})
    for number in range(10):
        reply = get(transport.port, f"/cards/{number}?colour=r%C3%B8d")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.text.encode().decode("unicode_escape").replace(" ", "").strip() in (
            f'{{"number":{number},"colour":"rød"}}', f'{{"colour":"rød","number":{number}}}')
    assert get(transport.port, "/nowhere").status == 404


NAMED = """
import os, sys
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((NAME, environ.get("SCRIPT_NAME", ""), environ["PATH_INFO"], sys.argv[1:], os.environ.get("COLOUR"))).encode()]
"""


def test_mounts(server, transport):
    files = {"one.py": "NAME = 'one'\n" + NAMED, "two.py": "NAME = 'two'\n" + NAMED}
    server(transport, ["--master", "--mount", "/one=one.py", "--mount", "/two=two:application", "--manage-script-name"], files=files)
    assert get(transport.port, "/one/x").text == "('one', '/one', '/x', [], None)"
    assert get(transport.port, "/two").text == "('two', '/two', '', [], None)"


def test_pyargv_and_env(server, transport):
    options = ["--pyargv", "--colour red", "--env", "COLOUR=red"]
    server(transport, ["--master", *options], app="NAME = 'argv'\n" + NAMED)
    assert get(transport.port, "/x").text == "('argv', '', '/x', ['--colour', 'red'], 'red')"


def test_eval(server, transport):
    server(transport, ["--master", "--eval", "NAME = 'eval'\n" + NAMED])
    assert get(transport.port, "/x").text == "('eval', '', '/x', [], None)"
