from humanly import grouped


def test_thousands_are_grouped() -> None:
    assert grouped(1234567) == "1,234,567"
    assert grouped(-1000) == "-1,000"
    assert grouped(7) == "7"
