"""The price book on the command line: listing it, and importing prices from a file."""

from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.prices import EXAMPLE, rows_of
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import AsJson
from streams.errors import Invalid
from streams.money.price_lists import price_of
from streams.money.prices import STALE_DAYS
from streams.times import day

AT_ONCE = 1000
HEADER = {"occurred_us": 0, "producer": {"service": "assay", "version": "0"}}  # of the check alone: what is published the API stamps


def prices(
    context: typer.Context,
    item: Annotated[str, typer.Option(help="only this item's")] = "",
    version: Annotated[str, typer.Option(help="only those of this version")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many at most")] = 100,
    as_json: AsJson = False,
) -> None:
    """Lists the price book, what was published last first; `import` publishes prices from a file.

    Examples: `assay prices` · `assay prices --item kwh --json` · `assay prices import my-prices.csv`
    """
    if context.invoked_subcommand is not None:
        return
    found = Client(Settings()).get("/v1/prices", item=item or None, version=version or None, limit=limit)
    if as_json:
        showing.document(found)
        return
    if not found["prices"]:
        showing.say("no price is published yet: `assay prices import FILE`, or the bundled example: `assay prices import --example`")
        return
    for name, rows in groupby(found["prices"], key=lambda price: price["version"]):
        told = list(rows)
        showing.table(["item", ">amount", "for", "region", ">from", ">to"], map(_row, told), title=f"version {name}")
        if stale := [price["item"] for price in told if price["stale"]]:
            showing.say((f"not confirmed for {STALE_DAYS} days, look them up again: {', '.join(dict.fromkeys(stale))}", "yellow"))
        for source in dict.fromkeys(price["source"] for price in told):
            showing.note(f"{', '.join(price['item'] for price in told if price['source'] == source)}: {source}")


def _row(price: dict[str, Any]) -> tuple[Any, ...]:
    amount = f"{price['amount_nano'] / 1e9:.9f}".rstrip("0").rstrip(".")
    unit = f"{price['currency']} / {price['unit']}" if price["currency"] else price["unit"]
    return price["item"], amount, unit, price["region"], _date(price["valid_from_us"]), _date(price["valid_to_us"])


def _date(time_us: int | None) -> str | None:
    return None if time_us is None else day(time_us)


def import_prices(
    file: Annotated[Path | None, typer.Argument(help="a .csv with a head line, or a .json with an array of objects")] = None,
    example: Annotated[bool, typer.Option("--example", help="the bundled example price book: public list prices, not yours")] = False,
    as_json: AsJson = False,
) -> None:
    """Publishes the prices of a file, all or none; every run that they concern is reckoned anew under their version.

    The fields: item, amount, unit, valid_from, source, version; region, currency and valid_to may be left out.

    Examples: `assay prices import my-prices.csv` · `assay prices import --example`
    """
    if (file is None) is not example:
        raise Invalid("which prices? give a FILE, or --example", code="no-file")
    told = import_file(Client(Settings()), file or EXAMPLE)
    if as_json:
        showing.document(told)
        return
    showing.say(f"{told['published']} new prices, {told['known']} that were known already")


def import_file(client: Client, path: Path) -> dict[str, int]:
    """Publishes a file's prices; says how many were new and how many known. Raises: Invalid, naming file and line."""
    rows = []
    for line, row in rows_of(path):
        try:
            price_of(row, HEADER)
        except Invalid as error:
            raise Invalid(f"{path}, line {line}: {error}", code=error.code) from error
        rows.append({name: value for name, value in row.items() if value})
    if len(rows) > AT_ONCE:
        raise Invalid(
            f"{path} has {len(rows)} prices; {AT_ONCE} at once are the most, so that all or none are published", code="price-file"
        )
    published = client.post("/v1/prices", {"prices": rows})["published"]
    return {"published": published, "known": len(rows) - published}
