"""Sort products into aisles, and coupons into the groups that the campaign allocates.

The retailer's coupons are many and narrow (209 in the large campaigns), with five that are valid for
a whole department. A group is one aisle's narrow coupons, or one such department-wide coupon.
"""

from __future__ import annotations

import polars as pl

WIDE = 1_000
"""A coupon for more products than this is valid for a whole department."""

BY_DEPARTMENT = {
    "PRODUCE": "produce",
    "SALAD BAR": "produce",
    "FLORAL": "fresh counter",
    "DELI": "fresh counter",
    "PASTRY": "fresh counter",
    "CHEF SHOPPE": "fresh counter",
    "MEAT": "meat",
    "MEAT-PCKGD": "meat",
    "SEAFOOD": "meat",
    "SEAFOOD-PCKGD": "meat",
    "DRUG GM": "personal care",
    "COSMETICS": "personal care",
    "NUTRITION": "pantry",
    "FROZEN GROCERY": "frozen",
    "GROCERY": "pantry",
}
BY_CATEGORY = {
    "dairy": "CHEESE|EGGS|FLUID MILK PRODUCTS|MARGARINES|MILK BY-PRODUCTS|MISC. DAIRY|"
    "REFRGRATD DOUGH PRODUCTS|YOGURT|REFRGRATD JUICES/DRNKS",
    "frozen": "FROZEN BREAD/DOUGH|FROZEN PIZZA|FRZN BREAKFAST FOODS|FRZN FRUITS|FRZN JCE CONC/DRNKS|"
    "FRZN MEAT/MEAT DINNERS|FRZN POTATOES|FRZN VEGETABLE/VEG DSH|FRZN SEAFOOD",
    "desserts": "FROZEN PIE/DESSERTS|FRZN NOVELTIES/WTR ICE|ICE CREAM/MILK/SHERBTS|DRY MIX DESSERTS",
    "breakfast": "COFFEE|TEAS|COCOA MIXES|COLD CEREAL|HOT CEREAL|CONVENIENT BRKFST/WHLSM SNACKS|"
    "MOLASSES/SYRUP/PANCAKE MIXS|PNT BTR/JELLY/JAMS",
    "drinks and snacks": "BAG SNACKS|SNACK NUTS|WAREHOUSE SNACKS|CRACKERS/MISC BKD FD|COOKIES/CONES|"
    "SOFT DRINKS|WATER - CARBONATED/FLVRD DRINK|WATER|ISOTONIC DRINKS|CANNED JUICES|PWDR/CRYSTL DRNK MX|"
    "CANDY - PACKAGED|CANDY - CHECKLANE|BEERS/ALES|POPCORN",
    "household": "AIR CARE|BATH TISSUES|BLEACH|DISHWASH DETERGENTS|FACIAL TISS/DNR NAPKIN|"
    "FD WRAPS/BAGS/TRSH BG|HOUSEHOLD CLEANG NEEDS|LAUNDRY ADDITIVES|LAUNDRY DETERGENTS|PAPER HOUSEWARES|"
    "PAPER TOWELS|BROOMS AND MOPS|CHARCOAL AND LIGHTER FLUID|PLASTIC HOUSEWARES|BATTERIES",
    "pets": "CAT FOOD|CAT LITTER|DOG FOODS|PET CARE SUPPLIES",
    "baby": "BABY FOODS|BABY HBC|DIAPERS & DISPOSABLES|INFANT CARE PRODUCTS|INFANT FORMULA",
}
CATEGORIES = {name: aisle for aisle, names in BY_CATEGORY.items() for name in names.split("|")}

GROUPS = {
    "DAIRY": ("dairy", "Selected cheese, milk, dough and chilled juice"),
    "FROZEN": ("frozen", "Selected frozen meals, pizza and vegetables"),
    "DESSERT": ("desserts", "Selected ice cream, pies and frozen treats"),
    "BREAKFAST": ("breakfast", "Selected cereal, coffee, tea and spreads"),
    "PANTRY": ("pantry", "Selected sauces, soups, baking and canned goods"),
    "SNACK": ("drinks and snacks", "Selected drinks, crackers and snacks"),
    "HOME": ("household", "Selected cleaning, laundry and paper goods"),
    "PET": ("pets", "Selected cat and dog food"),
    "CARE": ("personal care", "Selected health and personal care"),
    "COUNTER": ("fresh counter", "Selected salads, deli, bakery and flowers"),
    "BACON": ("meat", "Selected bacon, sausage and frozen fish"),
    "BABY": ("baby", "Selected baby care and baby food"),
    "ANYDAIRY": ("dairy", "Any dairy product"),
    "ANYFROZEN": ("frozen", "Any frozen food"),
    "ANYCARE": ("personal care", "Any personal care product"),
    "ANYPRODUCE": ("produce", "Any fresh produce"),
    "ANYMEAT": ("meat", "Any fresh meat"),
}
"""Group: its aisle and its description. ANY marks a coupon for a whole department."""


def aisle_of_product() -> pl.Expr:
    """Return the aisle of a row of the products table."""
    by_department = pl.col("department").replace_strict(BY_DEPARTMENT, default="other")
    by_category = pl.col("product_category").replace_strict(CATEGORIES, default=None)
    return pl.coalesce(by_category, by_department).alias("aisle")


def coupon_groups(coupons: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Add to each coupon the group it belongs to: the aisle most of its products are in."""
    narrow = {aisle: name for name, (aisle, _) in GROUPS.items() if not name.startswith("ANY")}
    narrow["produce"] = "COUNTER"  # three coupons for salads are too few for a group of their own
    wide = {aisle: name for name, (aisle, _) in GROUPS.items() if name.startswith("ANY")}
    group = (
        coupons.join(products.select("product_id", "aisle"), on="product_id")
        .group_by("campaign_id", "coupon_upc", "aisle")
        .agg(products=pl.len())
        .sort("campaign_id", "coupon_upc", "products", "aisle", descending=[False, False, True, False])
        .group_by("campaign_id", "coupon_upc", maintain_order=True)
        .agg(pl.col("aisle").first(), pl.col("products").sum())
        .with_columns(
            group=pl.when(pl.col("products") > WIDE)
            .then(pl.col("aisle").replace_strict(wide, default=None))
            .otherwise(pl.col("aisle").replace_strict(narrow, default=None))
        )
    )
    return coupons.join(
        group.select("campaign_id", "coupon_upc", "group"), on=["campaign_id", "coupon_upc"]
    ).drop_nulls("group")
