"""Tasks by Celery."""
