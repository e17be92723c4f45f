"""Who each record of the company's systems truly is: what finding customers is held against.

A record is known by its system (salesforce_accounts, salesforce_contacts, salesforce_leads, clevertap, or shop for the
customer number that the other systems share) and the id that it has there. All is as of the day that the worlds are at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.world.company import World
from sandbox.world.engagement import EngagementWorld
from sandbox.world.shop import Shop

Record = tuple[str, str]
CRM = {"accounts": "salesforce_accounts", "contacts": "salesforce_contacts", "leads": "salesforce_leads"}
# How someone whom CleverTap knows is told apart from the contact with that email.
SOMEBODY_ELSE = ("alone", "family", "role")


@dataclass(frozen=True)
class People:
    """The people and companies of one company, by the systems that are there."""

    world: World
    shop: Shop | None = None
    app: EngagementWorld | None = None

    def records(self) -> Iterator[Record]:
        """The records that the CRM, the shop's customers and CleverTap hold today."""
        for table, system in CRM.items():
            yield from ((system, row["Id"]) for row in self.world.truth(table) if not row["IsDeleted"])
        if self.shop:
            yield from (("shop", number) for number in self.shop.rows["customers"])
        if self.app:
            yield from (
                ("clevertap", self.app.person(number)["identity"]) for number in range(self.app.people)
            )

    def who(self, record: Record) -> str:
        """The person or company that the record is of: two records are of one where this says the same."""
        system, source_id = record
        match system:
            case "salesforce_accounts":
                return f"company {source_id}"
            case "salesforce_leads":
                return self._of_lead(source_id)
            case "clevertap":
                return self._of_app(source_id)
            case "shop" if self.shop and source_id in self.shop.renamed:
                return self.who(("shop", self.shop.renamed[source_id]))
            case _:
                return f"person {source_id}"

    def _of_lead(self, lead: str) -> str:
        leads = self.world.tables["leads"]
        contact = leads.columns["ConvertedContactId"][leads.place(lead)]
        same = contact or self.world.same_person.get(lead)
        if same is None:
            return f"person {lead}"
        is_lead = same.startswith(leads.ids[0][:3])
        return self._of_lead(same) if is_lead else f"person {same}"

    def _of_app(self, identity: str) -> str:
        if not self.app or not identity.startswith("C"):
            # The customer number.
            return f"person {identity}"
        person = int(identity[1:])
        match self.app.known(person):
            case "lead":
                return self._of_lead(self.app.record(person))
            case "shop_alone":
                return f"person shop-{person:06d}"
            case kind if kind in SOMEBODY_ELSE:
                return f"person {identity}"
            case _:
                return f"person {self.app.record(person)}"
