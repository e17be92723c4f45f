"""Three days of a company's people, from silver's records to customers, against who each record truly is."""

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.people import InSilver, customers_of, score
from data_platform.lake.tables import Lake
from data_platform.silver import joined_step
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES
from data_platform.silver.customers import CUSTOMERS
from data_platform.silver.joined_step import join
from sandbox.world.company import Sizes, World
from sandbox.world.engagement import KNOWN, EngagementWorld
from sandbox.world.people import Record
from sandbox.world.shop import Shop

DAYS = (0, 1)
IN_APP = 400


@dataclass
class Company:
    """The company, its lake, and what was held at the end of each day."""

    silver: InSilver
    customer: dict[int, dict[Record, str]] = field(default_factory=dict)
    rows: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def bring_up(self, spark: Any) -> None:
        for table in (CUSTOMER_IDENTITIES, CUSTOMERS):
            join(lambda: spark, table, self.silver.lake)

    def live_a_day(self) -> None:
        self.silver.world.advance()
        for _ in self.silver.shop.live_a_day():
            pass
        self.silver.write()

    def remember(self, day: int) -> None:
        lake = self.silver.lake
        self.customer[day] = customers_of(lake)
        held = lake.silver("customers").query("select * from held where not is_deleted").to_pylist()
        self.rows[day] = {row["customer_id"]: row for row in held}


@pytest.fixture(scope="module")
def company(tmp_path_factory, spark) -> Company:
    world = World(sizes=Sizes(accounts=200, contacts=1_500, leads=1_500, opportunities=1_000))
    app = EngagementWorld(people=IN_APP, now=world.now, company=world)
    company = Company(
        InSilver(Lake(str(tmp_path_factory.mktemp("people") / "lake")), world, Shop(world), app)
    )
    company.silver.write()
    company.bring_up(spark)
    company.remember(0)
    company.live_a_day()
    with pytest.MonkeyPatch.context() as patched:
        # Identities are committed, and customers are not.
        patched.setattr(joined_step, "merge", _dying_for(CUSTOMERS.name, joined_step.merge))
        with pytest.raises(KeyboardInterrupt):
            company.bring_up(spark)
    company.bring_up(spark)
    company.remember(1)
    return company


def _dying_for(name: str, merge: Any) -> Any:
    def merges(spark: Any, table: Any, *how: Any) -> None:
        if table.name.endswith(f"/{name}"):
            raise KeyboardInterrupt
        merge(spark, table, *how)

    return merges


@pytest.mark.parametrize("day", DAYS)
def test_hardly_a_pair_is_wrong_or_missing(company, day):
    scored = score(company.customer[day], company.silver.people)
    assert scored.records > 5_000
    assert scored.precision >= 0.999
    assert scored.recall >= 0.99


def customer(company: Company, system: str, source_id: str, day: int = 0) -> str:
    return company.customer[day][system, source_id]


def test_leads_of_people_whom_the_crm_has_are_theirs(company):
    world = company.silver.world
    planted = world.planted_ids["leads"]
    repeated = [*planted["of_contact"], *planted["entered_twice"]]
    assert len(repeated) == 18
    for lead in repeated:
        same = world.same_person[lead]
        system = "salesforce_contacts" if same.startswith("003") else "salesforce_leads"
        assert customer(company, "salesforce_leads", lead) == customer(company, system, same)


def test_a_lead_and_its_contact_are_one_whatever_became_of_the_email(company):
    world = company.silver.world
    became = {row["ConvertedContactId"]: row["Id"] for row in world.truth("leads") if row["IsConverted"]}
    planted = [
        *world.planted_ids["contacts"]["other_case_email"],
        *world.planted_ids["contacts"]["changed_email"],
    ]
    assert len(planted) == 11
    for contact in planted:
        lead = customer(company, "salesforce_leads", became[contact])
        assert lead == customer(company, "salesforce_contacts", contact)


@pytest.mark.parametrize("fault", ["family_email", "role_email"])
def test_people_who_share_a_mailbox_stay_themselves(company, fault):
    planted = company.silver.world.planted_ids["contacts"][fault]
    assert len(planted) == 6
    customers = {customer(company, "salesforce_contacts", contact) for contact in planted}
    assert len(customers) == 6
    for each in customers:
        members = [record for record, found in company.customer[0].items() if found == each]
        assert len({company.silver.people.who(record) for record in members}) == 1


@pytest.mark.parametrize("kind", sorted(set(KNOWN)))
def test_people_of_the_app_are_found_in_the_way_in_which_they_are_known(company, kind):
    app = company.silver.app
    known = [number for number in range(IN_APP) if app.known(number) == kind]
    assert len(known) == IN_APP // len(KNOWN) * KNOWN.count(kind)
    for number in known:
        mine = customer(company, "clevertap", app.person(number)["identity"])
        systems = company.rows[0][mine]["systems"]
        if kind in ("alone", "family", "role"):
            assert systems == ["clevertap"]
        elif kind == "shop_alone":
            other = company.customer[0].get(("shop", f"shop-{number:06d}"))
            assert (mine == other) == (other is not None)
        elif kind == "lead":
            assert mine == customer(company, "salesforce_leads", app.record(number))
        else:
            assert mine == customer(company, "salesforce_contacts", app.record(number))


def test_an_email_that_moves_takes_nobody_along(company):
    left, heir = company.silver.world.planted_ids["contacts"]["moved_email"]
    assert ("salesforce_contacts", heir) not in company.customer[0]
    before, after = (customer(company, "salesforce_contacts", left, day) for day in DAYS)
    assert before == after
    assert customer(company, "salesforce_contacts", heir, 1) not in (before, after)


def test_who_takes_another_number_is_found_by_email(company):
    shop = company.silver.shop
    found = 0
    for new, old in shop.renamed.items():
        if shop.rows["customers"][new]["email"] and old.startswith("003"):
            found += customer(company, "shop", new, 1) == customer(company, "shop", old, 1)
    assert found >= 3


@pytest.mark.parametrize("day", DAYS)
def test_every_customer_is_made_of_its_records(company, day):
    members = defaultdict(list)
    for (system, _), found in company.customer[day].items():
        members[found].append(system)
    rows = company.rows[day]
    assert rows.keys() == members.keys()
    for found, row in rows.items():
        assert row["records"] == len(members[found])
        assert row["systems"] == sorted(set(members[found]))
        assert (row["customer_kind"] == "company") == ("salesforce_accounts" in members[found])
        assert row["is_lead_only"] == (row["systems"] == ["salesforce_leads"])
        assert (row["matched_by"] == "alone") == (row["records"] == 1)


def test_values_come_from_the_contact_before_the_shop_and_the_company_from_the_account(company):
    world, rows = company.silver.world, company.rows[1]
    accounts = {row["Id"]: row for row in world.truth("accounts") if not row["IsDeleted"]}
    compared = 0
    for contact in world.truth("contacts"):
        found = company.customer[1].get(("salesforce_contacts", contact["Id"]))
        if found is None:
            continue
        row, account = rows[found], accounts.get(contact["AccountId"])
        assert row["full_name"] == contact["Name"].strip()
        assert row["account_id"] == contact["AccountId"]
        if contact["Email"]:
            assert row["email"] == contact["Email"].strip().lower()
        if account and (account["AnnualRevenue"] or 0) >= 0:
            assert row["company_name"] == account["Name"]
            assert row["segment"] == account["Segment__c"]
            compared += 1
    assert compared > 1_000


def test_what_was_followed_is_what_is_made_at_once(company, spark, tmp_path):
    lake, again = company.silver.lake, Lake(str(tmp_path / "lake"))
    for name in company.silver.written:
        shutil.copytree(lake.silver(name).uri, again.silver(name).uri)
    for table in (CUSTOMER_IDENTITIES, CUSTOMERS):
        join(lambda: spark, table, again)
        columns = ", ".join(f'"{each.name}"' for each in table.columns)
        asked = f"select {columns} from held where not is_deleted order by {', '.join(table.key)}"
        made_at_once = again.silver(table.name).query(asked).to_pylist()
        assert lake.silver(table.name).query(asked).to_pylist() == made_at_once
