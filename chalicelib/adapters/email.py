"""Amazon SES v2."""

from __future__ import annotations

from chalicelib.adapters.aws import client, translated
from chalicelib.ports.email import Email


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
            answer = client("sesv2").send_email(**arguments)
        return str(answer["MessageId"])
