"""The settings of the product: read once, at the edge, into one frozen object."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from etl import masking
from etl.errors import SettingsError

PREFIX = "REVENUE_"
EMBEDDED = "embedded:"
_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_TENANT = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$"


class SecretFileSource(PydanticBaseSettingsSource):
    """Reads `REVENUE_<NAME>_FILE`: the setting's value stands in that file (Docker secrets)."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise SettingsError(
                f"{PREFIX}{field_name.upper()}_FILE cannot be read: {error.strerror}"
            ) from error

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


class Settings(BaseSettings):
    """Every setting with its default; the environment wins over `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", frozen=True, extra="ignore"
    )

    database_url: SecretStr = Field(
        default=SecretStr(EMBEDDED),
        description="`embedded:`, or `postgresql://user:password@host:port/database`",
    )
    sql_box_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://sql_box:password@host/database`: the role that the SQL box of "
        "*Explore* reads gold as; made by `revenue migrate` where it may, by itself when embedded",
    )
    bi_reader_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://bi_reader:password@host/database`: the role that the page *Power BI* "
        "checks the connection as; by itself when embedded",
    )
    home: Path = Field(
        default_factory=Path.cwd,
        description="folder of `data/`, `logs/` and the embedded `database/`; the current folder",
    )
    port: int = Field(default=8501, ge=1, le=65535, description="TCP port of the web pages")
    address: str = Field(default="127.0.0.1", description="address the web pages are bound to")
    allowed_hosts: str = Field(
        default="localhost 127.0.0.1",
        description="host names, separated by spaces, under which browsers may reach the pages",
    )
    allow_unauthenticated_network_access: bool = Field(
        default=False,
        description="unsafe: serve an address other than 127.0.0.1 although nobody signs in",
    )
    database_port: int | None = Field(
        default=None, ge=1, le=65535, description="TCP port of the embedded server; a free one"
    )
    upload_limit_mb: int = Field(default=50, ge=1, description="largest upload, MB")
    unpacked_limit_mb: int = Field(
        default=20_480, ge=1, description="largest size of a gzip file once unpacked, MB"
    )
    record_limit_mb: int = Field(default=16, ge=1, description="largest single record, MB")
    chunk_kb: int = Field(default=4096, ge=64, description="size of a chunk of a file, KB")
    stability_seconds: float = Field(
        default=2.0,
        ge=0,
        description="a file must be unchanged so long where leases do not exist, seconds",
    )
    poll_seconds: float = Field(
        default=1.0, gt=0, description="how often the worker looks for queued runs, seconds"
    )
    watch_landing: bool = Field(
        default=True,
        description="the scheduler queues a run for each complete file that appears in `data/raw/`",
    )
    watch_seconds: float = Field(
        default=2.0, gt=0, description="how often the landing zone is looked at, seconds"
    )
    schedule_grace_seconds: float = Field(
        default=60.0,
        ge=1,
        description="a planned time that comes up later than so was missed, seconds",
    )
    heartbeat_seconds: float = Field(
        default=2.0, gt=0, description="how often a worker shows a sign of life, seconds"
    )
    lost_after_seconds: float = Field(
        default=15.0, gt=0, description="silence after which a dead worker's run is lost, seconds"
    )
    check_seconds: float = Field(
        default=300.0, gt=0, description="how often a worker checks all layers, seconds"
    )
    freshness_seconds: float = Field(
        default=15.0,
        gt=0,
        description="how often a worker judges how fresh the layers are, seconds",
    )
    metrics_port: int = Field(
        default=9108,
        ge=0,
        le=65535,
        description="TCP port on 127.0.0.1 of the worker's `/healthz` and `/metrics`; 0: none",
    )
    attempts: int = Field(default=5, ge=1, description="how often a run is taken up before failing")
    lock_timeout_seconds: int = Field(
        default=30, ge=1, description="longest wait for a lock of the database, seconds"
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`text`, or `json`: worker, scheduler and web say each line as one JSON object "
        "on standard output",
    )
    log_retention_days: int = Field(
        default=90, ge=0, description="age at which lines of the log are deleted; 0 never, days"
    )
    log_file_mb: int = Field(
        default=50, ge=1, description="size at which a log file is rotated; five are kept, MB"
    )
    rule_approval: Literal["auto", "required", "none"] = Field(
        default="auto",
        description="who activates drafts of rules: `required`, a second person; `none`, also who "
        "made them; `auto`, a second person unless the pages are bound to this machine alone",
    )
    demo_records: int = Field(
        default=2000, ge=1, description="sales records of the demo data on a first start"
    )
    powerbi_refresh: Literal["off", "standard", "enhanced"] = Field(
        default="off",
        description="asks Power BI for a refresh after a run that changed gold: `standard` on any "
        "capacity, `enhanced` on Premium",
    )
    powerbi_dry_run: bool = Field(
        default=False,
        description="keep what would be sent to Power BI instead of sending it",
    )
    powerbi_tenant_id: str | None = Field(
        default=None,
        pattern=_TENANT,
        description="tenant of the service principal: its id, or a domain of it",
    )
    powerbi_client_id: str | None = Field(
        default=None, pattern=_GUID, description="application (client) id of the service principal"
    )
    powerbi_client_secret: SecretStr | None = Field(
        default=None, description="client secret of the service principal"
    )
    powerbi_workspace_id: str | None = Field(
        default=None, pattern=_GUID, description="workspace that holds the dataset"
    )
    powerbi_dataset_id: str | None = Field(
        default=None, pattern=_GUID, description="dataset (semantic model) to refresh"
    )
    powerbi_authority_url: str = Field(
        default="https://login.microsoftonline.com",
        description="where tokens are given; another one in a sovereign cloud",
    )
    powerbi_api_url: str = Field(
        default="https://api.powerbi.com",
        description="the Power BI REST API; another one in a sovereign cloud",
    )
    powerbi_scope: str = Field(
        default="https://analysis.windows.net/powerbi/api/.default",
        description="what a token is for; another one in a sovereign cloud",
    )
    powerbi_refreshes_a_day: int = Field(
        default=8,
        ge=0,
        description="most refreshes asked for within 24 hours (shared capacity allows 8, scheduled "
        "ones included); 0: no limit",
    )
    powerbi_refresh_timeout_minutes: int = Field(
        default=300,
        ge=1,
        description="a refresh that has not ended by then counts as failed, minutes",
    )

    @field_validator(
        "sql_box_url",
        "bi_reader_url",
        "powerbi_tenant_id",
        "powerbi_client_id",
        "powerbi_client_secret",
        "powerbi_workspace_id",
        "powerbi_dataset_id",
        mode="before",
    )
    @classmethod
    def _none_when_empty(cls, value: Any) -> Any:
        return value or None

    @field_validator("powerbi_authority_url", "powerbi_api_url")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        """Pass an address that secrets may be sent to."""
        parts = urlsplit(value)
        if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("it must be an address such as https://host")
        is_here = parts.hostname in {"127.0.0.1", "localhost"}
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise ValueError("it must begin with https://")
        return value.rstrip("/")

    @field_validator("powerbi_workspace_id", "powerbi_dataset_id")
    @classmethod
    def _one_spelling(cls, value: str | None) -> str | None:
        return value and value.lower()

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del file_secret_settings
        return init_settings, env_settings, SecretFileSource(settings_cls), dotenv_settings

    @property
    def is_embedded(self) -> bool:
        return self.database_url.get_secret_value().startswith(EMBEDDED)

    @cached_property
    def landing(self) -> Path:
        return self.home / "data" / "raw"

    @cached_property
    def processed(self) -> Path:
        return self.home / "data" / "processed"

    @cached_property
    def rejected(self) -> Path:
        return self.home / "data" / "rejected"

    @cached_property
    def logs(self) -> Path:
        return self.home / "logs"

    @cached_property
    def database(self) -> Path:
        return self.home / "database"

    def make_folders(self) -> None:
        """Create the folders of `home`.

        Raises SettingsError when the home folder cannot be written.
        """
        for folder in (self.landing, self.processed, self.rejected, self.logs):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SettingsError(
                    f"{folder} cannot be created ({error.strerror}); "
                    f"set {PREFIX}HOME to a folder you may write"
                ) from error


def load(**overrides: Any) -> Settings:
    """Read the settings.

    Raises SettingsError naming each setting that makes no sense.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(problems) from None
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            _remember(value.get_secret_value())
    return settings


def _remember(secret: str) -> None:
    """Let no log, page or error show this value."""
    if "://" in secret:
        masking.remember_url(secret)
    elif not secret.startswith(EMBEDDED):
        masking.remember(secret)
