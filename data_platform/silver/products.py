"""Silver products: one row per product, of the catalogue and of what the warehouses last said they hold of it.

Known untruths: a warehouse holds what its newest update says, however old that is; one that was never heard of holds
nothing; unit costs of several suppliers are not averaged, the newest counts. Products that only the warehouses know
are there (`in_catalogue` tells), without a name or price.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    WARN,
    Column,
    Dimension,
    Rule,
    holds,
)
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.kafka import INVENTORY_UPDATES
from data_platform.sources.snowflake import PRODUCT_CATALOG

CATALOGUE, UPDATES = PRODUCT_CATALOG.silver_name, INVENTORY_UPDATES.silver_name
COUNTED = ("quantity_on_hand", "quantity_reserved", "reorder_point")


def stock(updates: DataFrame) -> DataFrame:
    """A row per product: the newest word of each warehouse, summed."""
    told = updates.where(F.col("product_id").isNotNull())
    newest = F.struct("event_time", "event_id")
    of_warehouse = told.groupBy("product_id", "warehouse_id").agg(
        F.max_by(
            F.struct(*COUNTED, "unit_cost", "currency", "category", "event_time", "event_id"), newest
        ).alias("last"),
        F.max("_landed_at").alias("_landed_at"),
    )
    said_last = F.struct("last.event_time", "last.event_id")
    return of_warehouse.groupBy("product_id").agg(
        *(F.sum(f"last.{name}").alias(name) for name in COUNTED),
        F.count("*").alias("warehouses"),
        F.max_by("last.unit_cost", said_last).alias("unit_cost"),
        F.max_by("last.currency", said_last).alias("unit_cost_currency"),
        F.max_by("last.category", said_last).alias("category_in_stock"),
        F.max("last.event_time").alias("stock_as_of"),
        F.max("_landed_at").alias("_landed_at_of_stock"),
    )


def products(inputs: Inputs) -> DataFrame:
    listed = inputs[CATALOGUE].select(
        *("product_id", "product_name", "category", "price", "is_active", "attributes", "updated_at"),
        "_landed_at",
        F.lit(True).alias("in_catalogue"),
    )
    both = listed.join(stock(inputs[UPDATES]), "product_id", "full_outer")
    return both.withColumns(
        {
            "category": F.coalesce("category", "category_in_stock"),
            "quantity_available": F.col("quantity_on_hand") - F.coalesce("quantity_reserved", F.lit(0)),
            "warehouses": F.coalesce("warehouses", F.lit(0)),
            "in_catalogue": F.coalesce("in_catalogue", F.lit(False)),
            "updated_at": F.greatest("updated_at", "stock_as_of"),
            "_landed_at": F.greatest("_landed_at", "_landed_at_of_stock"),
        }
    )


def touched(changed: Inputs, _: Inputs) -> DataFrame:
    listed, moved = (changed[name].select("product_id") for name in (CATALOGUE, UPDATES))
    return listed.unionByName(moved).where(F.col("product_id").isNotNull())


PRODUCTS = Joined(
    name="products",
    description="What is sold, and how much of it the warehouses hold.",
    owner="team:sales",
    key=("product_id",),
    inputs=(PRODUCT_CATALOG, INVENTORY_UPDATES),
    columns=(
        Column("product_id", STRING, required=True),
        Column("product_name", STRING),
        Column("category", STRING, description="The catalogue's; else the warehouses'."),
        Column("price", DECIMAL(18, 2), sensitive=True),
        Column("is_active", BOOLEAN, description="Null where the catalogue does not have the product."),
        Column("attributes", JSON),
        Column("quantity_on_hand", INTEGER, description="The newest word of each warehouse, summed."),
        Column("quantity_reserved", INTEGER),
        Column("quantity_available", INTEGER, description="On hand and not reserved."),
        Column("reorder_point", INTEGER, description="Of all warehouses together."),
        Column("warehouses", INTEGER, required=True, description="How many have told of the product."),
        Column("unit_cost", DECIMAL(18, 2), sensitive=True, description="As the newest update says."),
        Column("unit_cost_currency", STRING),
        Column("stock_as_of", TIMESTAMP, description="The newest update's moment."),
        Column("in_catalogue", BOOLEAN, required=True, description="The catalogue has the product."),
        Column("updated_at", TIMESTAMP, description="The newest change of catalogue or stock."),
    ),
    made=products,
    touched=touched,
    by_key_alone=(CATALOGUE,),
    belonging={CATALOGUE: ("product_id",), UPDATES: ("product_id",)},
    rules=(
        Rule(
            "known_to_the_catalogue",
            "{in_catalogue}",
            "is in the catalogue",
            Dimension.COMPLETENESS,
            WARN,
        ),
        holds(
            "no_more_reserved_than_held",
            "{quantity_reserved} <= {quantity_on_hand}",
            "has no more reserved than there is",
        ),
    ),
)
