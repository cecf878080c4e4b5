"""Work outside of requests: a job that the spooler does, and one that runs by the clock."""
from datetime import timedelta

from django.db import close_old_connections
from django.utils import timezone
from uwsgidecorators import cron, spool

from .models import Order

KEPT = timedelta(days=30)


@spool
def write_receipt(arguments):
    """In a process of its own, after the response. A job that fails, or whose process is killed, runs again."""
    close_old_connections()
    order = Order.objects.get(pk=int(arguments["order"]))
    order.receipt = f"Order {order.pk}: {order.item}"
    order.save()


@cron(30, 3, -1, -1, -1)
def remove_old(signal):
    """At 03:30 each night, in one of the workers."""
    close_old_connections()
    Order.objects.filter(placed__lt=timezone.now() - KEPT).delete()
