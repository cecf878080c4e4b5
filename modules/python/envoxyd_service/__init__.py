"""Makes one WSGI application of what envoxy.json names: modules or packages with views.

Not called envoxyd: a package of that name in the deployment's venv would hide it.
"""
