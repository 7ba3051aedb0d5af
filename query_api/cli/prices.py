"""The price book on the command line: listing it, and importing prices from a file."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.identity import now_us
from infra.prices import EXAMPLE, list_of, rows_of
from infra.settings import Settings
from query_api.cli import showing
from query_api.cli.client import Client
from query_api.cli.options import AsJson
from streams.errors import Invalid
from streams.money.cloud_lists import READERS
from streams.money.cloud_lists import rows_of as list_rows
from streams.money.listed import machine_of
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
    file: Annotated[Path | None, typer.Argument(help="a .csv with a head line, or a .json: an array of objects, or a cloud's list")] = None,
    cloud: Annotated[str | None, typer.Option(help=f"the file is a price list of this cloud: {', '.join(READERS)}")] = None,
    machine: Annotated[
        list[str] | None,
        typer.Option(
            help="a machine of the list with its devices: p5.48xlarge='8x NVIDIA H100 80GB HBM3'; of Google with its host, docs/costs.md"
        ),
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="only this region of the list; may be said several times")] = None,
    as_of: Annotated[str | None, typer.Option(help="the day on which the list was read, where it does not say of when it is")] = None,
    example: Annotated[bool, typer.Option("--example", help="the bundled example price book: public list prices, not yours")] = False,
    as_json: AsJson = False,
) -> None:
    """Publishes the prices of a file, all or none; every run that they concern is reckoned anew under their version.

    The fields: item, amount, unit, valid_from, source, version; region, currency and valid_to may be left out.
    Of a cloud's list the machines that are named are taken: docs/costs.md.

    Examples: `assay prices import my-prices.csv` · `assay prices import --example`
    · `assay prices import index.json --cloud aws --machine "p5.48xlarge=8x NVIDIA H100 80GB HBM3" --region us-east-1`
    """
    if (file is None) is not example:
        raise Invalid("which prices? give a FILE, or --example", code="no-file")
    if cloud is None and (machine or region or as_of):
        raise Invalid("--machine, --region and --as-of are of a cloud's list: say which cloud's, --cloud aws", code="no-cloud")
    client = Client(Settings())
    if file is not None and cloud is not None:
        told = import_list(client, file, cloud=cloud, machines=machine or [], regions=region or [], as_of=as_of)
    else:
        told = import_file(client, file or EXAMPLE)
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
    return _published(client, path, rows)


def import_list(
    client: Client, path: Path, *, cloud: str, machines: Sequence[str], regions: Sequence[str], as_of: str | None
) -> dict[str, int]:
    """Publishes the prices of a cloud's list, all or none. Raises: Invalid, naming the file and the path in it."""
    named = [machine_of(one) for one in machines]
    try:
        rows = list_rows(list_of(path), named, cloud=cloud, today=day(now_us()), as_of=as_of, regions=regions)
        for row in rows:
            price_of(row, HEADER)
    except Invalid as error:
        raise Invalid(f"{path}: {error}", code=error.code) from error
    return _published(client, path, rows)


def _published(client: Client, path: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    if len(rows) > AT_ONCE:
        raise Invalid(
            f"{path} has {len(rows)} prices; {AT_ONCE} at once are the most, so that all or none are published", code="price-file"
        )
    published = client.post("/v1/prices", {"prices": list(rows)})["published"]
    return {"published": published, "known": len(rows) - published}
