"""How much one caller, address, server or tool may have: how many calls in a time, and how many at once."""

from broker.quotas.quotas import Over, Quotas, Rule, ServerQuotas, Ticket

__all__ = ["Over", "Quotas", "Rule", "ServerQuotas", "Ticket"]
