"""Refusals, in the vendor's codes and words."""

REFERENCE = "Please reference your WSDL or the describe call for the appropriate names."


class ApiError(Exception):
    """An answer of the API that is an error: a status, a code and a message."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def pointed_at(query: str, place: int, message: str) -> str:
    """The vendor shows the surroundings of what it stumbled over, and says the column."""
    start = max(0, place - 20)
    caret = " " * (place - start) + "^"
    return f"\n{query[start : place + 20]}\n{caret}\nERROR at Row:1:Column:{place + 1}\n{message}"


def no_such_resource() -> ApiError:
    return ApiError("NOT_FOUND", "The requested resource does not exist", 404)


def invalid_session() -> ApiError:
    return ApiError("INVALID_SESSION_ID", "Session expired or invalid", 401)


def limit_exceeded() -> ApiError:
    return ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)


def invalid_locator() -> ApiError:
    return ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")


def unknown_object(query: str, place: int, name: str) -> ApiError:
    return ApiError(
        "INVALID_TYPE",
        pointed_at(
            query,
            place,
            f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure "
            f"to append the '__c' after the entity name. {REFERENCE}",
        ),
    )


def unknown_field(query: str, place: int, name: str, of: str) -> ApiError:
    return ApiError(
        "INVALID_FIELD",
        pointed_at(
            query,
            place,
            f"No such column '{name}' on entity '{of}'. If you are attempting to use a custom field, be sure "
            f"to append the '__c' after the custom field name. {REFERENCE}",
        ),
    )
