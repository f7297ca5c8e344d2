"""Numbers, sizes and times as people say them."""

from humanly.numbers import grouped

__all__ = ["grouped"]
