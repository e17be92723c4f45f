"""What sqlfluff takes for dbt's `adapter`: a macro that each warehouse spells its own way is shown to it as a call."""

from collections.abc import Callable


def dispatch(macro_name: str, macro_namespace: str = "") -> Callable[..., str]:  # noqa: ARG001 - as dbt calls it
    def spelled(*arguments: object) -> str:
        return f"{macro_name}({', '.join(map(str, arguments))})"

    return spelled
