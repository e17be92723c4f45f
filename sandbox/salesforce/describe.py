"""What the org tells of its objects and their fields."""

from typing import Any

from sandbox.salesforce.fields import Field, SObject

SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "currency": "xsd:double",
    "double": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "address": "urn:address",
}


def summary(sobject: SObject, version: str) -> dict[str, Any]:
    """An object in the list of all."""
    here = f"/services/data/{version}/sobjects/{sobject.name}"
    return {
        "name": sobject.name,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "keyPrefix": sobject.prefix,
        "custom": False,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "createable": True,
        "updateable": True,
        "deletable": True,
        "undeletable": True,
        "urls": {"sobject": here, "describe": f"{here}/describe", "rowTemplate": f"{here}/{{ID}}"},
    }


def whole(sobject: SObject, version: str) -> dict[str, Any]:
    """An object with its fields."""
    fields = [_field(each) for each in sobject.fields.values()]
    return summary(sobject, version) | {"fields": fields, "childRelationships": [], "recordTypeInfos": []}


def _field(field: Field) -> dict[str, Any]:
    is_system = field.name in ("Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp")
    is_written = not is_system and not field.calculated and field.type != "address"
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "soapType": SOAP_TYPES.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3,
        "precision": field.precision if field.type != "int" else 0,
        "digits": field.precision if field.type == "int" else 0,
        "scale": field.scale,
        "nillable": field.nillable,
        "calculated": field.calculated,
        "calculatedFormula": None,
        "custom": field.name.endswith("__c"),
        "compoundFieldName": field.compound,
        "referenceTo": list(field.refers_to),
        "relationshipName": field.name.removesuffix("Id") if field.refers_to else None,
        "picklistValues": [],
        "filterable": not field.is_long,
        "sortable": not field.is_long,
        "groupable": not field.is_long and field.type not in ("currency", "double", "percent", "datetime"),
        "aggregatable": not field.is_long and field.type != "boolean",
        "createable": is_written,
        "updateable": is_written,
        "unique": False,
        "externalId": False,
        "idLookup": field.type == "id",
        "nameField": field.name == "Name",
        "defaultedOnCreate": field.type == "boolean",
        "deprecatedAndHidden": False,
    }
