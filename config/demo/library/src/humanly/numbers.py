"""Whole numbers."""


def grouped(number: int) -> str:
    """The number with a comma between thousands."""
    return f"{number:,}"
