from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self):
        """Register the spooler's job and the timetable, which exist only in the server: manage.py has no `uwsgi`."""
        try:
            import uwsgi  # noqa: F401
        except ImportError:
            return
        from . import background  # noqa: F401
