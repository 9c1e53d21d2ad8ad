import pytest

from tests.gateway.house import House


@pytest.fixture
def house() -> House:
    return House()
