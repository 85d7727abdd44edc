"""Settings: one frozen object, read once from a file and the environment, passed down to whoever needs it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import platformdirs

from takings.errors import Misconfigured

_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


def _setting(default: Any, meaning: str, *, least: float | None = None, most: float | None = None) -> Any:
    return field(default=default, metadata={"meaning": meaning, "least": least, "most": most})


def _secret(meaning: str) -> Any:
    return field(default=None, repr=False, metadata={"meaning": meaning, "secret": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Each field ``name`` is the variable ``TAKINGS_NAME``; secrets also ``TAKINGS_NAME_FILE``.

    The file is ``settings.toml`` in the data folder (or the path in ``TAKINGS_SETTINGS``) with the same names in
    lower case. The environment wins over the file.
    """

    home: Path = field(metadata={"meaning": "The data folder: all state lives in it."})
    host: str = _setting("127.0.0.1", "Address the web server listens on.")
    port: int = _setting(8420, "Port the web server listens on; 0 takes a free one.", least=0, most=65535)
    base_url: str | None = _setting(
        None, "Public address of the product, when it is behind a proxy: https://takings.example.com."
    )
    store_url: str | None = _setting(
        None, "Database of the product itself, as an SQLAlchemy URL; default a SQLite file in the data folder."
    )
    warehouse: Literal["ducklake", "duckdb"] = _setting(
        "ducklake", "Kind of warehouse: an open lake of Parquet files, or one DuckDB file."
    )
    warehouse_memory_mb: int = _setting(256, "Memory the warehouse engine may use in the worker.", least=64)
    metrics_memory_mb: int = _setting(
        2048, "Memory the warehouse engine may use while figures are worked out.", least=64
    )
    batch_rows: int = _setting(4000, "Objects written to the warehouse in one commit, about.", least=1, most=100_000)
    fetch_threads: int = _setting(24, "Requests to Stripe under way at once, at most.", least=1, most=256)
    headroom: float = _setting(
        0.2, "Share of the account's request rate left to the company's own traffic.", least=0.0, most=0.95
    )
    stripe_api_base: str = _setting("https://api.stripe.com", "Address of Stripe's API.")
    stripe_connect_base: str = _setting("https://connect.stripe.com", "Address of Stripe's Connect OAuth pages.")
    stripe_marketplace_base: str = _setting("https://marketplace.stripe.com", "Address of Stripe's App OAuth pages.")
    stripe_dashboard_base: str = _setting(
        "https://dashboard.stripe.com", "Address of Stripe's dashboard, for links to objects."
    )
    stripe_app_client_id: str | None = _setting(None, "Client id of your Stripe App, for one-click connection.")
    stripe_app_secret: str | None = _secret("Secret key of the account that owns the Stripe App.")
    stripe_connect_client_id: str | None = _setting(None, "Client id (ca_…) of your Connect platform.")
    stripe_connect_secret: str | None = _secret("Secret key of the Connect platform.")
    secret_key: str | None = _secret(
        "Keys that encrypt stored secrets, newest first, separated by commas; default a file in the data folder."
    )
    rate_live: int = _setting(100, "Requests a second that Stripe grants a live account.", least=1)
    rate_sandbox: int = _setting(25, "Requests a second that Stripe grants a sandbox.", least=1)
    rate_endpoint: int = _setting(25, "Requests a second that Stripe grants one endpoint.", least=1)
    follow_every_seconds: int = _setting(60, "Time between two looks at Stripe's events.", least=1)
    sync_every_seconds: int = _setting(
        900, "Time between two looks for new rows in lists that no event tells of.", least=10
    )
    reconcile_horizon_days: int = _setting(
        30, "Time within which every row of every list is compared with Stripe again.", least=1, most=3650
    )
    read_share: float = _setting(
        0.5,
        "Share of Stripe's read allocation (500 reads a transaction, 10,000 a month at least) that following, "
        "reconciling and verifying may use together.",
        least=0.01,
        most=1.0,
    )
    reconcile_rate_share: float = _setting(
        0.25, "Share of the account's request rate that reconciling may use.", least=0.01, most=1.0
    )
    verify_every_hours: int = _setting(24, "Time between two sampled verifications.", least=1)
    promise_hours: int = _setting(24, "Age of a table's data above which an alert is raised.", least=1)
    keep_versions_days: int | None = _setting(
        None, "Days for which states between an object's first and its last are kept; default for ever.", least=1
    )
    metrics: Literal["off", "on"] = _setting("off", "Whether /metrics serves figures for Prometheus.")
    metrics_token: str | None = _secret("Token that /metrics asks for as a bearer; default none is asked for.")
    log_form: Literal["text", "json"] = _setting("text", "How logs are written: for people or for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "The least level that is logged.")

    @property
    def store_address(self) -> str:
        """URL of the product's own database."""
        return self.store_url or f"sqlite:///{self.home / 'takings.db'}"

    @property
    def public_url(self) -> str:
        """Address under which people reach the product, without a slash at the end."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"TAKINGS_{name.upper()}"


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings once.

    Args:
        environ: The environment; default the process's own.
        **overrides: Values that win over both file and environment (from command-line options); ``None`` is ignored.

    Returns:
        The settings, with the data folder's path made absolute (it is not created here).

    Raises:
        Misconfigured: A value cannot be used; names the variable, the value (unless secret) and what is allowed.
    """
    env = os.environ if environ is None else environ
    home = Path(overrides.get("home") or env.get("TAKINGS_HOME") or platformdirs.user_data_dir("takings")).expanduser()
    values: dict[str, Any] = {"home": home.absolute()}
    from_file = _read_file(settings_file(home, env), env)
    hints = get_type_hints(Settings)
    known = {f.name: f for f in fields(Settings) if f.name != "home"}
    for name in from_file:
        if name not in known:
            raise Misconfigured(
                "settings.unknown",
                f"The settings file names “{name}”, which is no setting: remove or correct it.",
                name=name,
            )
    for name, spec in known.items():
        secret = bool(spec.metadata.get("secret"))
        raw: Any = overrides.get(name)
        if raw is None:
            raw = env.get(variable(name))
        if raw is None and secret and (path := env.get(variable(name) + "_FILE")):
            raw = _read_secret(variable(name) + "_FILE", Path(path))
        if raw is None:
            raw = from_file.get(name)
        if raw is None or raw == "":
            values[name] = None if spec.default is MISSING else spec.default
            continue
        values[name] = _convert(variable(name), raw, hints[name], spec.metadata, secret)
    for name in ("stripe_api_base", "stripe_connect_base", "stripe_marketplace_base", "stripe_dashboard_base"):
        values[name] = _address(variable(name), values[name])
    return Settings(**values)


def settings_file(home: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return where the settings file is, or would be.

    Args:
        home: The data folder.
        environ: The environment; default the process's own.
    """
    env = os.environ if environ is None else environ
    return Path(env["TAKINGS_SETTINGS"]) if "TAKINGS_SETTINGS" in env else home / "settings.toml"


def is_loopback(url: str) -> bool:
    """Tell whether a URL points at this very machine."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def _read_file(path: Path, env: Mapping[str, str]) -> dict[str, Any]:
    if not path.exists():
        if "TAKINGS_SETTINGS" in env:
            raise Misconfigured(
                "settings.file_missing", f"TAKINGS_SETTINGS names {path}, which does not exist.", path=str(path)
            )
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(
            "settings.file_unreadable", f"The settings file {path} cannot be read: {error}.", path=str(path)
        ) from error


def _read_secret(name: str, path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise Misconfigured(
            "settings.secret_file",
            f"{name} names {path}, which cannot be read: {error.strerror}.",
            name=name,
            path=str(path),
        ) from error


def _convert(name: str, raw: Any, hint: Any, metadata: Mapping[str, Any], secret: bool) -> Any:
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    shown = "the value given" if secret else f"{raw!r}"
    if get_origin(hint) is Literal:
        if raw in get_args(hint):
            return raw
        allowed = ", ".join(get_args(hint))
        raise Misconfigured("settings.choice", f"{name} is {shown}; allowed are {allowed}.", name=name, allowed=allowed)
    kind = kinds[0]
    try:
        value = kind(raw)
    except (TypeError, ValueError) as error:
        wanted = {"int": "a whole number", "float": "a number"}.get(kind.__name__, kind.__name__)
        raise Misconfigured(
            "settings.kind", f"{name} is {shown}; it must be {wanted}.", name=name, wanted=wanted
        ) from error
    least, most = metadata.get("least"), metadata.get("most")
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise Misconfigured("settings.range", f"{name} is {shown}; it must be {bounds}.", name=name, wanted=bounds)
    return value


def _address(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)):
        return url.rstrip("/")
    raise Misconfigured(
        "settings.address",
        f"{name} is {url!r}; it must begin with https:// (plain http:// only for this machine itself).",
        name=name,
    )
