"""Who is told when a deployed run does not end well."""

from pydantic import BaseModel, Field, SecretStr


class DeployingSettings(BaseModel):
    """Who is told when a deployed run does not end well."""

    notify_webhook: SecretStr | None = Field(
        None,
        description="Address that gets a JSON object when a deployed run was blocked, failed, "
        "crashed, was cancelled or starts late; `nightpress deploy` keeps it in a block of Prefect",
    )
    notify_slack: SecretStr | None = Field(
        None, description="Incoming webhook of Slack that is told the same"
    )
    notify_email: SecretStr | None = Field(
        None,
        description="Mail that is sent then: `mailtos://USER:PASSWORD@SMTP-HOST?to=ADDRESS`",
    )
