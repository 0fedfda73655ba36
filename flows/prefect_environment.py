"""How Prefect behaves when nobody configured it: quiet, local, and without telemetry.

Invariant: a variable that the person has set is never overridden, but for telemetry, which is off.
"""

from collections.abc import MutableMapping

DEFAULTS = {
    # Lines of the engine go to the run in the UI, ours go to the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "nightpress",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    # The temporary server needs 6 to 7 s on two quiet cores; a busy machine gets a minute.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    # Runs with their logs and artifacts stay 30 days; events seven, which is Prefect's own.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 86_400),
}
# The first is the server's telemetry, the second the client's; one alone does not silence both.
# The third is Ray's, which heeds neither.
TELEMETRY_OFF = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def prepare_prefect(environment: MutableMapping[str, str]) -> None:
    """Set what Prefect reads when it is imported; call this before the first import of it."""
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    environment.update(TELEMETRY_OFF)
