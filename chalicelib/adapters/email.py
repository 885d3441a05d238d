"""Amazon SES v2."""

from __future__ import annotations

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated
from chalicelib.kernel.errors import PortError, QuotaExceededError, SendingStoppedError, TemporaryError
from chalicelib.ports.email import Email

_LIMITED = {"TooManyRequestsException", "ThrottlingException", "Throttling"}
_STOPPED = {"AccountSuspendedException", "SendingPausedException"}


class SesEmail:
    """Implements ports.email.EmailSender. The configuration set sends SES's events to the feedback function."""

    def __init__(self, configuration_set: str) -> None:
        self._configuration_set = configuration_set

    def send(self, email: Email) -> str:
        """Send one e-mail; see the port."""
        arguments = {
            "FromEmailAddress": email.sender,
            "Destination": {"ToAddresses": [email.to]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": email.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": email.text, "Charset": "UTF-8"},
                        "Html": {"Data": email.html, "Charset": "UTF-8"},
                    },
                    "Headers": [{"Name": name, "Value": value} for name, value in email.headers.items()],
                }
            },
            "EmailTags": [{"Name": name, "Value": value} for name, value in email.tags.items()],
        }
        if self._configuration_set:
            arguments["ConfigurationSetName"] = self._configuration_set
        with translated("SendEmail", maybe_done=True):
            try:
                answer = client("sesv2").send_email(**arguments)
            except ClientError as error:
                raise (_limit(error) or error) from error
        return str(answer["MessageId"])


def _limit(error: ClientError) -> PortError | None:
    """Return our word for SES's asking for patience, None for anything else. Nothing has left then.

    SES tells its two limits apart by their sentences alone (developer guide: errors related to the sending quotas).
    """
    code, sentence = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _STOPPED:
        return SendingStoppedError(f"SendEmail: {code}")
    if code not in _LIMITED:
        return None
    if "Daily" in sentence:
        return QuotaExceededError("SendEmail: the day's e-mails are used up")
    return TemporaryError(f"SendEmail: {code}", retry_after_seconds=1.0)
