"""Where the lake is, from the settings: a folder, or S3 with what reaching it needs."""

from pathlib import Path

from data_platform.lake.tables import Lake
from data_platform.settings import Settings


def lake_of(settings: Settings) -> Lake:
    if not settings.lake.startswith("s3://"):
        return Lake(str(Path(settings.lake).resolve()))
    options = {"conditional_put": "etag"}
    if settings.aws_access_key_id and settings.aws_secret_access_key:
        options["aws_access_key_id"] = settings.aws_access_key_id
        options["aws_secret_access_key"] = settings.aws_secret_access_key.get_secret_value()
    if settings.aws_session_token:
        options["aws_session_token"] = settings.aws_session_token.get_secret_value()
    if settings.aws_region:
        options["aws_region"] = settings.aws_region
    if settings.aws_endpoint_url:
        options["aws_endpoint_url"] = settings.aws_endpoint_url
        options["aws_allow_http"] = str(settings.aws_endpoint_url.startswith("http://")).lower()
    return Lake(settings.lake, options)
