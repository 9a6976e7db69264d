"""What a prescriptions process can be told."""

from pydantic import field_validator

from hosting.settings import DATABASE, ServiceSettings
from process.settings import setting
from svc_prescriptions.mailbox import sender_of
from svc_prescriptions.relay.address import FORM, relay_address


class PrescriptionsSettings(ServiceSettings):
    """The service's own."""

    process: str = setting("prescriptions", "the name of this process in logs and traces")
    database: str = setting("sqlite:///var/prescriptions.db", DATABASE, repr=False)
    mail_relay: str = setting("", f"where letters are handed over: {FORM}; empty: they wait", repr=False)
    mail_from: str = setting("CareMesh <prescriptions@localhost>", "whom letters come from")
    mail_ca_file: str = setting("", "a file with the authorities of the relay's certificate; empty: the machine's own")
    mail_give_up_hours: int = setting(120, "hours for which a letter that is refused for now is tried", ge=1, le=8784)
    mail_uncertain_minutes: int = setting(
        15, "minutes after which an uncertain letter is sent again; 0: only when a person says so", ge=0, le=10_080
    )

    @field_validator("mail_relay")
    @classmethod
    def _relay(cls, value: str) -> str:
        if value:
            relay_address(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _from(cls, value: str) -> str:
        sender_of(value)
        return value
