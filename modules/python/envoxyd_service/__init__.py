"""Makes one WSGI application of what envoxy.json names: modules or packages with views.

Not called envoxyd: a package of that name in the deployment's venv would hide it.
"""
import importlib.util

if importlib.util.find_spec("flask") is None:
    raise ModuleNotFoundError("Envoxy services need flask in the deployment's Python: pip install flask", name="flask")
