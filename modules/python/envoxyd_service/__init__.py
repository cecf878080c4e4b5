"""Makes one WSGI application of what envoxy.json names: modules or packages with views.

Not called envoxyd: a package of that name in the deployment's venv would hide it. Importing it has `import envoxy`, from then
on, use the connectors that come with envoxyd.
"""
from . import connectors

connectors.install()
