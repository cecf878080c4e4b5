"""Requests to other services by ZeroMQ."""
