"""Brokers that are killed while they serve, and whether their audit log tells every call that a server ran."""
