"""The log of one test, as in the broker's own tests."""

from tests.broker.conftest import journal as journal
