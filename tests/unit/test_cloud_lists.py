"""Price lists of clouds, by their recorded shapes: what an hour comes to, and that a wrong field is named and nothing half taken."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.prices import list_of
from infra.prices import rows_of as book_rows
from query_api.cli.prices import HEADER
from streams.errors import Invalid
from streams.money.cloud_lists import rows_of
from streams.money.listed import machine_of
from streams.money.price_lists import price_of

TODAY = "2026-11-30"
H100 = "NVIDIA H100 80GB HBM3"
P5, ND96, A3 = (
    f"p5.48xlarge=8x {H100}", f"Standard_ND96isr_H100_v5=8x {H100}",
    f"Nvidia H100 80GB GPU=8x {H100} + 208x A3 Instance Core + 1872x A3 Instance Ram",
)  # fmt: skip


def term(code: str, usd: str, *, unit: str = "Hrs", **attributes: str) -> dict[str, Any]:
    """An offer's term, as AWS writes it."""
    return {
        f"P5SKU.{code}": {
            "offerTermCode": code, "sku": "P5SKU", "effectiveDate": "2026-11-01T00:00:00Z", "termAttributes": attributes,
            "priceDimensions": {
                f"P5SKU.{code}.6YS6EN2CT7": {
                    "rateCode": f"P5SKU.{code}.6YS6EN2CT7", "description": "an hour", "beginRange": "0", "endRange": "Inf", "unit": unit,
                    "pricePerUnit": {"USD": usd}, "appliesTo": [],
                }
            },
        }
    }  # fmt: skip


def aws() -> dict[str, Any]:
    """An offer file: a machine with eight GPUs on demand and reserved, the same with Windows, and a small one."""
    plain = {
        "servicecode": "AmazonEC2", "location": "US East (N. Virginia)", "regionCode": "us-east-1", "instanceType": "p5.48xlarge",
        "vcpu": "192", "gpu": "8", "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
    }  # fmt: skip
    kinds = {
        "P5SKU": plain, "WINSKU": plain | {"operatingSystem": "Windows"}, "SMALL": plain | {"instanceType": "t3.micro"},
    }  # fmt: skip
    products = {sku: {"sku": sku, "productFamily": "Compute Instance", "attributes": own} for sku, own in kinds.items()}
    reserved = {"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "No Upfront"}
    return {
        "formatVersion": "v1.0", "offerCode": "AmazonEC2", "version": "20261102", "publicationDate": "2026-11-02T10:00:00Z",
        "products": {**products, "TRANSFER": {"sku": "TRANSFER", "productFamily": "Data Transfer", "attributes": {"toRegionCode": "eu"}}},
        "terms": {
            "OnDemand": {"P5SKU": term("JRTC", "98.3200000000")},
            "Reserved": {
                "P5SKU": term("R1", "62.92", **reserved) | term("R3", "43.16", **reserved | {"LeaseContractLength": "3yr"})
                | term("R4", "39.32", **reserved | {"PurchaseOption": "All Upfront"}, unit="Quantity")
            },
        },
    }  # fmt: skip


def azure() -> dict[str, Any]:
    """An answer of the retail prices: consumption, spot, a reservation for three years, and Windows."""
    plain = {
        "currencyCode": "USD", "tierMinimumUnits": 0.0, "retailPrice": 98.32, "unitPrice": 98.32, "armRegionName": "eastus",
        "location": "US East", "effectiveStartDate": "2023-11-01T00:00:00Z", "meterName": "ND96isr H100 v5",
        "productName": "Virtual Machines NDsr H100 v5 Series", "skuName": "ND96isr H100 v5", "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour", "type": "Consumption", "isPrimaryMeterRegion": True, "armSkuName": "Standard_ND96isr_H100_v5",
    }  # fmt: skip
    return {
        "BillingCurrency": "USD", "CustomerEntityId": "Default", "CustomerEntityType": "Retail", "NextPageLink": None, "Count": 5,
        "Items": [
            plain, plain | {"skuName": "ND96isr H100 v5 Spot", "retailPrice": 19.664},
            plain | {"type": "Reservation", "reservationTerm": "3 Years", "retailPrice": 1033346.4},
            plain | {"productName": "Virtual Machines NDsr H100 v5 Series Windows", "retailPrice": 107.15},
            plain | {"armSkuName": "", "serviceName": "Storage", "productName": "Disks", "skuName": "P10", "unitOfMeasure": "1/Month"},
        ],
    }  # fmt: skip


def google() -> dict[str, Any]:
    """An answer of the catalogue: a GPU on demand and preemptible in two regions, a commitment, what is around it, and a disk."""

    def sku(description: str, usage: str, units: str, nanos: int, unit: str = "h") -> dict[str, Any]:
        rate = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": units, "nanos": nanos}}
        return {
            "name": "services/6F81-5844-456A/skus/X", "skuId": "X", "description": description,
            "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": "Compute", "resourceGroup": "GPU", "usageType": usage},
            "serviceRegions": ["us-central1", "europe-west4"], "serviceProviderName": "Google",
            "pricingInfo": [{
                "effectiveTime": "2026-11-01T07:00:00Z", "currencyConversionRate": 1,
                "pricingExpression": {"usageUnit": unit, "displayQuantity": 1, "tieredRates": [rate], "usageUnitDescription": "hour"},
            }],
        }  # fmt: skip

    return {
        "skus": [
            sku("Nvidia H100 80GB GPU running in Americas", "OnDemand", "9", 796552000),
            sku("Nvidia H100 80GB GPU attached to Spot Preemptible VMs", "Preemptible", "2", 253800000),
            sku("Commitment v1: Nvidia H100 80GB GPU in Americas for 1 Year", "Commit1Yr", "6", 5),
            sku("A3 Instance Core running in Americas", "OnDemand", "0", 30000000),
            sku("A3 Instance Ram running in Americas", "OnDemand", "0", 3000000, "GiBy.h"),
            sku("Spot Preemptible A3 Instance Core running in Americas", "Preemptible", "0", 10000000),
            sku("Spot Preemptible A3 Instance Ram running in Americas", "Preemptible", "0", 1000000, "GiBy.h"),
            sku("Commitment v1: A3 Instance Core in Americas for 1 Year", "Commit1Yr", "0", 20000000),
            sku("Commitment v1: A3 Instance Ram in Americas for 1 Year", "Commit1Yr", "0", 2000000, "GiBy.h"),
            sku("Storage PD Capacity", "OnDemand", "0", 40000000),
        ],
        "nextPageToken": "",
    }  # fmt: skip


LISTS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "aws": (aws(), P5, None), "azure": (azure(), ND96, "2026-11-29"), "google": (google(), A3, "2026-11-29"),
}  # fmt: skip


def read(cloud: str, told: Any = None, *, machine: str | None = None, regions: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The rows of a list; each is a price."""
    whole, own, as_of = LISTS[cloud]
    found = rows_of(whole if told is None else told, [machine_of(machine or own)], cloud=cloud, today=TODAY, as_of=as_of, regions=regions)
    for row in found:
        price_of(row, HEADER)
    return found


def amounts(rows: list[dict[str, str]]) -> dict[tuple[str, str], float]:
    """Each item's amount in a region."""
    return {(row["item"], row["region"]): float(row["amount"]) for row in rows}


def test_an_offer_file_of_aws_is_hours_of_devices() -> None:
    """On demand, and reserved without anything paid before; Windows, other machines and what is paid up front are passed."""
    rows = read("aws")
    assert amounts(rows) == {
        (f"gpu_hour:{H100}", "us-east-1"): 98.32 / 8, (f"reserved_1y_gpu_hour:{H100}", "us-east-1"): 62.92 / 8,
        (f"reserved_3y_gpu_hour:{H100}", "us-east-1"): 43.16 / 8,
    }  # fmt: skip
    assert {(row["version"], row["valid_from"]) for row in rows} == {("aws-2026-11-02", "2026-11-01T00:00:00Z")}
    assert rows[0]["source"] == "price list of aws, 2026-11-02: 98.32 USD an hour of p5.48xlarge, on demand, over 8"
    assert amounts(read("aws", machine="p5.48xlarge=192x core"))["cpu_hour", "us-east-1"] == pytest.approx(98.32 / 192, abs=1e-9)


def test_retail_prices_of_azure_are_hours_of_devices() -> None:
    """Spot by its name; a reservation's price is that of all hours of its term."""
    assert amounts(read("azure")) == {
        (f"gpu_hour:{H100}", "eastus"): 98.32 / 8, (f"spot_gpu_hour:{H100}", "eastus"): 19.664 / 8,
        (f"reserved_3y_gpu_hour:{H100}", "eastus"): pytest.approx(1033346.4 / (3 * 8760) / 8, abs=1e-9),
    }  # fmt: skip


def test_skus_of_google_are_hours_of_devices_in_each_region() -> None:
    """Units and nanos are joined exactly; a region may be chosen."""
    found = amounts(read("google"))
    host = 26 * 0.03 + 234 * 0.003  # a device's part of the cores and of the GiB of memory
    assert found[f"gpu_hour:{H100}", "europe-west4"] == pytest.approx(9.796552 + host, abs=1e-9)
    assert found[f"spot_gpu_hour:{H100}", "us-central1"] == pytest.approx(2.2538 + host / 3, abs=1e-9)
    assert found[f"reserved_1y_gpu_hour:{H100}", "us-central1"] == pytest.approx(6.000000005 + 2 * host / 3, abs=1e-9) and len(found) == 6
    assert {region for _, region in amounts(read("google", regions=("us-central1",)))} == {"us-central1"}


def test_a_part_of_google_is_the_one_of_its_whole_name_and_comes_with_its_host() -> None:
    """A device of 40 GB is not one of 80 GB in a region that has only those, and a device alone is no machine."""
    told = google()
    for sku in told["skus"]:
        sku["description"] = sku["description"].replace("Nvidia H100 80GB", "Nvidia Tesla A100")
    larger = copy.deepcopy(told["skus"][0]) | {"description": "Nvidia Tesla A100 80GB GPU running in Singapore", "serviceRegions": ["asia"]}
    told["skus"].append(larger)
    named = "Nvidia Tesla A100=1x A100 + 12x A3 Instance Core + 85x A3 Instance Ram"
    assert {region for _, region in amounts(read("google", told, machine=named))} == {"us-central1", "europe-west4"}
    with pytest.raises(Invalid, match="google prices a device without the machine around it"):
        read("google", machine="Nvidia H100 80GB GPU=1x A100")
    with pytest.raises(Invalid, match=r"azure prices Standard_ND96isr_H100_v5 with its host"):
        read("azure", machine=f"{ND96} + 2x A3 Instance Core")
    told["skus"] = [sku for sku in told["skus"] if "Ram" not in sku["description"]]
    with pytest.raises(Invalid, match="no price of A3 Instance Ram, on demand, in us-central1, which Nvidia Tesla A100 has beside"):
        read("google", told, machine=named)


@pytest.mark.parametrize(("cloud", "page"), [("azure", "NextPageLink"), ("google", "nextPageToken")])
def test_a_page_of_a_list_is_not_the_list(cloud: str, page: str) -> None:
    """What the others have would be missing in silence."""
    with pytest.raises(Invalid, match=rf"goes on in a further page \({page}\)"):
        read(cloud, LISTS[cloud][0] | {page: "more"})


def test_an_hour_for_nothing_is_refused() -> None:
    """As a placeholder of a list."""
    told = azure()
    told["Items"][0]["retailPrice"] = 0
    with pytest.raises(Invalid, match=r"Items\[0\] is an hour of Standard_ND96isr_H100_v5 for 0 USD"):
        read("azure", told)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "item,amount,amount,unit,valid_from,source,version\nkwh,0.3,9,kWh,2026-11-01,me,v1\n"),
        ("a.json", '[{"item": "kwh", "amount": 0.3,\n"amount": 9}]'),
    ],
)
def test_a_field_that_is_there_twice_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """The last would count."""
    (tmp_path / name).write_text(text)
    with pytest.raises(Invalid, match="line 1: 'amount' is there twice"):
        book_rows(tmp_path / name)
    (tmp_path / "list.json").write_text('{"a": 1, "a": 2}')
    with pytest.raises(Invalid, match="'a' is there twice"):
        list_of(tmp_path / "list.json")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a list."""
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, name)
        yield from places(one, (*path, name))


@pytest.mark.parametrize("cloud", LISTS)
@pytest.mark.parametrize("wrong", [None, 7, "", "nonsense", [], {}, [[]], {"x": None}, "1e999999", -1, True])
def test_whatever_stands_in_a_field_is_read_or_refused_with_its_path(cloud: str, wrong: Any) -> None:
    """Nothing breaks, and what is read is whole prices."""
    whole = LISTS[cloud][0]
    for path in places(whole):
        told = copy.deepcopy(whole)
        at: Any = told
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = wrong
        try:
            read(cloud, told)
        except Invalid as error:
            assert error.code.startswith("price")


@pytest.mark.parametrize(
    ("cloud", "path", "value", "says"),
    [
        ("aws", ("terms", "OnDemand", "P5SKU", "P5SKU.JRTC", "priceDimensions", "P5SKU.JRTC.6YS6EN2CT7", "pricePerUnit", "USD"), "much",
         r"terms.OnDemand.P5SKU.P5SKU.JRTC.priceDimensions.P5SKU.JRTC.6YS6EN2CT7.pricePerUnit.USD is 'much'; wanted is an amount"),
        ("aws", ("products", "P5SKU", "attributes", "regionCode"), 3, r"products.P5SKU.attributes.regionCode is 3; wanted is a text"),
        ("aws", ("publicationDate",), "lately", r"publicationDate is 'lately'; wanted is a date"),
        ("azure", ("Items", 0, "retailPrice"), -1, r"Items\[0\].retailPrice is -1; wanted is an amount of at least 0"),
        ("azure", ("Items", 1, "currencyCode"), "EUR", r"Items\[1\].currencyCode is 'EUR'; wanted is USD"),
        ("azure", ("Items", 0, "unitOfMeasure"), "1 Month", r"Items\[0\].unitOfMeasure is '1 Month'; wanted is 1 Hour"),
        ("google", ("skus", 0, "pricingInfo", 0, "pricingExpression", "tieredRates"), [], r"tieredRates is \[\]; wanted is a rate"),
        ("google", ("skus", 1, "serviceRegions"), "eu", r"skus\[1\].serviceRegions is 'eu'; wanted is an array"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_by_its_path(cloud: str, path: tuple[Any, ...], value: Any, says: str) -> None:
    """With its value and what is wanted."""
    told = copy.deepcopy(LISTS[cloud][0])
    at: Any = told
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    with pytest.raises(Invalid, match=says):
        read(cloud, told)


def test_what_is_missing_or_twice_is_said() -> None:
    """A machine that the list has not, a list without a date, two prices of one thing, and a machine that is no machine."""
    with pytest.raises(Invalid, match=r"the list has no price of p4d\.24xlarge"):
        read("aws", machine="p4d.24xlarge=8x A100")
    with pytest.raises(Invalid, match="says not when it is of"):
        rows_of(azure(), [machine_of(ND96)], cloud="azure", today=TODAY)
    twice = azure()
    twice["Items"].append(twice["Items"][0] | {"retailPrice": 90})
    with pytest.raises(Invalid, match=r"Items\[5\] and Items\[0\] are two prices of gpu_hour"):
        read("azure", twice)
    with pytest.raises(Invalid, match=r"write it as p5\.48xlarge="):
        machine_of("p5.48xlarge")
    with pytest.raises(Invalid, match="no price list of 'ibm'"):
        rows_of({}, [machine_of(P5)], cloud="ibm", today=TODAY)


@pytest.mark.parametrize("written", ["2026-11-29", "20261129", "2026-W48-7", "2026-11-29T10:00:00Z"])
def test_a_list_is_of_a_day_however_it_is_written(written: str) -> None:
    """And never of a day to come."""
    found = rows_of(azure(), [machine_of(ND96)], cloud="azure", today=TODAY, as_of=written)
    assert {row["version"] for row in found} == {"azure-2026-11-29"}
    with pytest.raises(Invalid, match="the list is of 2026-11-29, and today is 2026-11-28"):
        rows_of(azure(), [machine_of(ND96)], cloud="azure", today="2026-11-28", as_of=written)


def test_a_list_is_read_from_a_file_with_its_digits(tmp_path: Path) -> None:
    """As they are written; what is no JSON is told with its line."""
    (tmp_path / "list.json").write_text(json.dumps(azure()))
    assert amounts(read("azure", list_of(tmp_path / "list.json"))) == amounts(read("azure"))
    (tmp_path / "bad.json").write_text('{"Items": [\n{"a": }]}')
    with pytest.raises(Invalid, match=r"bad\.json, line 2: not JSON"):
        list_of(tmp_path / "bad.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(Invalid, match=r"too deep|not JSON"):
        list_of(tmp_path / "deep.json")
