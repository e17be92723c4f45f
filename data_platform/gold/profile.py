"""What dbt's profile is told of the settings: the variables of the chosen warehouse, by the names in profiles.yml."""

from pydantic import SecretStr

from data_platform.gold.serving.redshift_login import is_this_machine
from data_platform.settings import Settings


def variables(settings: Settings) -> dict[str, str]:
    """dbt keeps those that begin with DBT_ENV_SECRET out of its log."""
    told = {
        "WAREHOUSE": settings.warehouse,
        "DATA_PLATFORM_HOME": str(settings.home),
        "LAKE_URI": settings.lake,
        "WAREHOUSE_GRANTS": str(settings.warehouse_grants).lower(),
        "DATABASE_LOGIN_TIMEOUT": str(settings.database_login_timeout),
    }
    match settings.warehouse:
        case "redshift":
            return told | _redshift(settings)
        case "snowflake":
            return told | _snowflake(settings)
        case "duckdb":
            return told


def _redshift(settings: Settings) -> dict[str, str]:
    return {
        "REDSHIFT_HOST": settings.redshift_host or "",
        "REDSHIFT_PORT": str(settings.redshift_port),
        "REDSHIFT_DATABASE": settings.redshift_database or "",
        "REDSHIFT_USERNAME": settings.redshift_username or "",
        "REDSHIFT_SSLMODE": "disable" if is_this_machine(settings.redshift_host or "") else "require",
        "DBT_ENV_SECRET_REDSHIFT_PASSWORD": _plain(settings.redshift_password),
    }


def _snowflake(settings: Settings) -> dict[str, str]:
    told = {
        "SNOWFLAKE_ACCOUNT": settings.snowflake_account or "",
        "SNOWFLAKE_USERNAME": settings.snowflake_username or "",
        "SNOWFLAKE_TARGET_DATABASE": settings.snowflake_target_database,
        "SNOWFLAKE_TARGET_ROLE": settings.snowflake_target_role or settings.snowflake_role or "",
        "SNOWFLAKE_TARGET_WAREHOUSE": settings.snowflake_target_warehouse or settings.snowflake_warehouse,
        "SNOWFLAKE_HOST": settings.snowflake_host or "",
        "SNOWFLAKE_PORT": str(settings.snowflake_port),
        "SNOWFLAKE_PROTOCOL": settings.snowflake_protocol,
    }
    if settings.snowflake_oauth_token:
        # dbt's name for a token that is used as it is.
        told["SNOWFLAKE_AUTHENTICATOR"] = "jwt"
        told["DBT_ENV_SECRET_SNOWFLAKE_TOKEN"] = _plain(settings.snowflake_oauth_token)
    elif settings.snowflake_private_key:
        told["DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY"] = _plain(settings.snowflake_private_key)
        told["DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"] = _plain(
            settings.snowflake_private_key_passphrase
        )
    else:
        told["DBT_ENV_SECRET_SNOWFLAKE_PASSWORD"] = _plain(settings.snowflake_password)
    return told


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
