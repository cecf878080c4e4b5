from django.http import HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render

from .models import Order


def index(request):
    return render(request, "orders/index.html", {"orders": Order.objects.order_by("-pk")[:20]})


def place(request):
    """POST item=…: the order is saved, and its receipt is left to the spooler."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    item = request.POST.get("item", "").strip()[:80]
    if not item:
        return JsonResponse({"error": "item is missing"}, status=400)
    order = Order.objects.create(item=item)
    from .background import write_receipt  # not above: manage.py has no spooler

    write_receipt.spool(order=str(order.pk))
    return JsonResponse({"order": order.pk}, status=202)
