"""The Python side of envoxyd: the zygote that imports the application once and
forks, the `uwsgi` module, and the worker that serves."""
