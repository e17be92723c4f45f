"""What the company sells, as catalogue, orders and stock agree on it: each product's number, category and price."""

from decimal import Decimal

from sandbox.world.company import World

CATEGORIES = ("Books", "Garden", "Kitchen", "Toys", "Children's wear")


def how_many(customers: int) -> int:
    """Products in a company of so many customers."""
    return max(20, customers // 10)


def product_id(number: int) -> str:
    return f"P-{number:05d}"


def category(number: int) -> str:
    return CATEGORIES[number % len(CATEGORIES)]


def prices(world: World, count: int) -> list[Decimal]:
    """What a piece of each costs, in whichever currency it is ordered."""
    cents: list[int] = world.random(500).integers(1, 100_000, count).tolist()
    return [Decimal(each).scaleb(-2) for each in cents]
