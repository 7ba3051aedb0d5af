"""The price lists of three clouds, read into hours of machines. Each reader is given the list as JSON, and says which field is wrong.

- `aws`: an offer file of the Price List Bulk API (`offers/v1.0/aws/AmazonEC2/…/index.json`). On demand, and reserved without anything paid
  up front, standard class; of Linux on shared hardware with nothing installed. It has no spot prices.
- `azure`: an answer of the Retail Prices API (`Items`). On demand, spot, and reservations, whose price is that of the whole term.
- `google`: an answer of the Cloud Billing Catalog API (`skus`), which prices devices, cores and memory by themselves: a machine is named
  with its host. On demand, preemptible and spot, and commitments.

A list that goes on in further pages is no whole list, and is refused.

Source: AWS Billing user guide, Reading the service price list file; Microsoft, Azure Retail Prices overview; Google, Cloud Billing API,
services.skus.list.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from streams.errors import Invalid
from streams.money.listed import HOURS_A_YEAR, Hour, Machine, Node, rows
from streams.money.prices import NANO

Hours = Iterator[Hour]
PLAIN: Final[Mapping[str, str]] = MappingProxyType({
    "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
})  # fmt: skip
AWS_TERMS: Final = MappingProxyType({"1yr": "reserved for 1 year", "3yr": "reserved for 3 years"})
AZURE_TERMS: Final = MappingProxyType({"1 Year": ("reserved for 1 year", 1), "3 Years": ("reserved for 3 years", 3)})
GOOGLE_USAGES: Final = MappingProxyType({
    "OnDemand": "on demand", "Preemptible": "spot", "Spot": "spot", "Commit1Yr": "reserved for 1 year", "Commit3Yr": "reserved for 3 years",
})  # fmt: skip


def aws(told: Node, machines: Sequence[Machine]) -> Hours:
    """The hours of an offer file."""
    by_name = {one.name: one for one in machines}
    terms = told.at("terms")
    for product in told.at("products").each():
        kind = product.at("attributes")
        machine = by_name.get(str(kind.at("instanceType").value)) if kind.names("instanceType") else None
        if machine is None or any(kind.at(name).text() != value for name, value in PLAIN.items()):
            continue
        sku, region = product.at("sku").text(), kind.at("regionCode").text()
        for way in ("OnDemand", "Reserved"):
            offers = terms.at(way) if terms.names(way) else Node({}, f"terms.{way}")
            for offer in offers.at(sku).each() if offers.names(sku) else ():
                if name := _aws_way(way, offer):
                    yield Hour(machine, name, region, _aws_hour(offer), offer.at("effectiveDate").date(), offer.path)


def _aws_way(way: str, offer: Node) -> str | None:
    if way == "OnDemand":
        return "on demand"
    terms = offer.at("termAttributes")
    plain = terms.at("PurchaseOption").text() == "No Upfront" and terms.at("OfferingClass").text() == "standard"
    length = terms.at("LeaseContractLength")
    if plain and length.text() not in AWS_TERMS:
        raise length.wrong(" or ".join(AWS_TERMS))
    return AWS_TERMS[length.text()] if plain else None


def _aws_hour(offer: Node) -> Fraction:
    dimensions = list(offer.at("priceDimensions").each())
    if len(dimensions) != 1:
        raise offer.at("priceDimensions").wrong("one price an hour")
    dimension = dimensions[0]
    if dimension.at("unit").text() != "Hrs":
        raise dimension.at("unit").wrong("Hrs")
    return dimension.at("pricePerUnit").at("USD").usd()


def azure(told: Node, machines: Sequence[Machine]) -> Hours:
    """The hours of an answer's items."""
    by_name = {one.name: one for one in machines}
    for item in told.at("Items").each():
        machine = by_name.get(str(item.at("armSkuName").value))
        if machine is None or "Windows" in item.at("productName").text() or "Low Priority" in item.at("skuName").text():
            continue
        if item.at("currencyCode").text() != "USD":
            raise item.at("currencyCode").wrong("USD: ask for it with currencyCode='USD'")
        if item.at("unitOfMeasure").text() != "1 Hour":
            raise item.at("unitOfMeasure").wrong("1 Hour")
        way, hours = _azure_way(item)
        if way:
            usd = item.at("retailPrice").usd() / hours
            yield Hour(machine, way, item.at("armRegionName").text(), usd, item.at("effectiveStartDate").date(), item.path)


def _azure_way(item: Node) -> tuple[str | None, int]:
    """The way to pay, and for how many hours the price is; none for what is neither, as a development machine's."""
    kind = item.at("type").text()
    if kind == "Reservation":
        term = item.at("reservationTerm")
        if term.text() not in AZURE_TERMS:
            return None, 1
        way, years = AZURE_TERMS[term.text()]
        return way, HOURS_A_YEAR * years
    return ("spot" if item.at("skuName").text().endswith("Spot") else "on demand") if kind == "Consumption" else None, 1


@dataclass(frozen=True, slots=True)
class Part:
    """What an hour of a part costs, from when on, and where the list says so."""

    usd: Fraction
    valid_from: str
    path: str


def google(told: Node, machines: Sequence[Machine]) -> Hours:
    """The hours of machines, each its devices' and its host's parts, which the SKUs' descriptions name."""
    names = {one.name: ("h",) for one in machines} | {name: ("h", "GiBy.h") for one in machines for name, _ in one.host}
    parts: dict[tuple[str, str, str], Part] = {}
    for sku in told.at("skus").each():
        description, way = sku.at("description").text(), GOOGLE_USAGES.get(str(sku.at("category").at("usageType").value))
        for name in names if way else ():
            if way and _names(description, name):
                part = _google_part(sku, names[name])
                for place in sku.at("serviceRegions").each():
                    _add(parts, (name, way, place.text()), part)
    for machine in machines:
        for (name, way, region), part in parts.items():
            if name == machine.name:
                yield _google_machine(machine, part, {other: parts.get((other, way, region)) for other, _ in machine.host}, way, region)


def _names(description: str, name: str) -> bool:
    """The description is of the part of that name: `Nvidia Tesla A100` is not `Nvidia Tesla A100 80GB`."""
    return re.search(rf"(?<!\w){re.escape(name)}(?: GPU)?(?=$| (?:running|attached|in|for)\b)", description) is not None


def _add(parts: dict[tuple[str, str, str], Part], key: tuple[str, str, str], part: Part) -> None:
    other = parts.setdefault(key, part)
    if other.usd != part.usd:
        name, way, region = key
        raise Invalid(f"{part.path} and {other.path} are two prices of {name}, {way}, in {region}; cut the list to one of them",
                      code="price-list")  # fmt: skip


def _google_machine(machine: Machine, device: Part, host: Mapping[str, Part | None], way: str, region: str) -> Hour:
    known = {name: part for name, part in host.items() if part}
    usd = device.usd * machine.count + sum((known[name].usd * count for name, count in machine.host if name in known), Fraction(0))
    since = max((device.valid_from, *(part.valid_from for part in known.values())), key=datetime.fromisoformat)
    return Hour(machine, way, region, usd, since, device.path, next((name for name, part in host.items() if part is None), None))


def _google_part(sku: Node, units: tuple[str, ...]) -> Part:
    priced = list(sku.at("pricingInfo").each())
    if not priced:
        raise sku.at("pricingInfo").wrong("a price")
    return Part(_google_hour(priced[-1], units), priced[-1].at("effectiveTime").date(), sku.path)


def _google_hour(priced: Node, units: tuple[str, ...]) -> Fraction:
    expression = priced.at("pricingExpression")
    if expression.at("usageUnit").text() not in units:
        raise expression.at("usageUnit").wrong(" or ".join(units))
    rates = list(expression.at("tieredRates").each())
    if not rates:
        raise expression.at("tieredRates").wrong("a rate")
    price = rates[-1].at("unitPrice")
    if price.at("currencyCode").text() != "USD":
        raise price.at("currencyCode").wrong("USD")
    return price.at("units").usd() + price.at("nanos").usd() / NANO


PAGES: Final = MappingProxyType({"azure": "NextPageLink", "google": "nextPageToken"})  # what names the page behind this one
READERS: Final[Mapping[str, Callable[[Node, Sequence[Machine]], Hours]]] = MappingProxyType({"aws": aws, "azure": azure, "google": google})


def rows_of(
    told: Any, machines: Sequence[Machine], *, cloud: str, today: str, as_of: str | None = None, regions: Sequence[str] = ()
) -> list[dict[str, str]]:
    """A list's prices as rows of the price book, whose version is the cloud and the day. `as_of`: when it was read; AWS's says it itself.

    `today`: the day, 2026-11-30, and no list is of a later one.

    `regions`: those that are wanted, all where none is named. Raises: Invalid, with the path of what is wrong.
    """
    if cloud not in READERS:
        raise Invalid(f"there is no price list of {cloud!r} that can be read; there are {', '.join(READERS)}", code="price-list")
    if not machines:
        raise Invalid("which machines? name each with its devices, as p5.48xlarge='8x NVIDIA H100 80GB HBM3'", code="price-list")
    _check_hosts(machines, cloud=cloud)
    top = Node(told)
    if (page := PAGES.get(cloud)) and top.names(page) and top.at(page).value:
        raise Invalid(f"the list goes on in a further page ({page}): put what all pages have into one file, without it", code="price-list")
    read = top.at("publicationDate").date() if cloud == "aws" else as_of
    if read is None:
        raise Invalid(f"the list of {cloud} says not when it is of: state the day on which it was read, as 2026-11-30", code="price-list")
    on = datetime.fromisoformat(Node(read, "as-of").date()).date().isoformat()
    if on > today:
        raise Invalid(f"the list is of {on}, and today is {today}; state the day on which it was read", code="price-list")
    hours = [one for one in READERS[cloud](top, machines) if not regions or one.region in regions]
    return rows(hours, machines, source=f"price list of {cloud}, {on}", version=f"{cloud}-{on}")


def _check_hosts(machines: Sequence[Machine], *, cloud: str) -> None:
    """A list of machines has their hosts in its prices, and one of parts has not. Raises: Invalid."""
    parts = cloud == "google"
    if wrong := next((one for one in machines if bool(one.host) != parts), None):
        told = (
            f"{cloud} prices a device without the machine around it, and the price book with it: name what {wrong.name} has beside it, "
            "as 'Nvidia H100 80GB GPU=8x NVIDIA H100 80GB HBM3 + 208x A3 Instance Core + 1872x A3 Instance Ram'"
        )
        raise Invalid(told if parts else f"{cloud} prices {wrong.name} with its host; name its devices alone", code="price-list")
