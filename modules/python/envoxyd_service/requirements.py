"""What the deployment's Python must have: says so in one line, before an import fails somewhere below."""
import importlib.util

if importlib.util.find_spec("flask") is None:
    raise ModuleNotFoundError("Envoxy services need flask in the deployment's Python: pip install flask", name="flask")
