from django.db import models


class Order(models.Model):
    """An order of a customer. The spooler makes the receipt; the timetable removes what is old."""

    item = models.CharField(max_length=80)
    placed = models.DateTimeField(auto_now_add=True)
    receipt = models.TextField(blank=True)
