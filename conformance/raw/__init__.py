"""What SDK clients cannot do: raw wire clients, a scripted backend, and the checks that use both."""
