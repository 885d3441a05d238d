"""LINE's own SDK, where its import of more than a second does not matter: looking at an account's settings."""

from __future__ import annotations

from chalicelib.adapters.line import LineApi
from chalicelib.kernel.errors import PermanentError, TemporaryError
from chalicelib.ports.line import LineCredentials
from chalicelib.ports.line_setup import LineSetup

_TIMEOUT = (3, 10)  # the SDK has none of its own


class SdkInspector:
    """Implements ports.line_setup.LineInspector. tokens: whose tokens are used, so that there is one way to get them."""

    def __init__(self, base_url: str, tokens: LineApi) -> None:
        self._base_url = base_url
        self._tokens = tokens

    def inspect(self, credentials: LineCredentials) -> LineSetup:
        """Return the settings; see the port."""
        from linebot.v3.messaging import ApiClient, Configuration, MessagingApi
        from linebot.v3.messaging.exceptions import ApiException, NotFoundException
        from urllib3.exceptions import HTTPError

        configuration = Configuration(host=self._base_url, access_token=self._tokens.token(credentials))
        try:
            with ApiClient(configuration) as client:
                api = MessagingApi(client)
                info = api.get_bot_info(_request_timeout=_TIMEOUT)
                quota = api.get_message_quota(_request_timeout=_TIMEOUT)
                used = api.get_message_quota_consumption(_request_timeout=_TIMEOUT)
                try:
                    endpoint = api.get_webhook_endpoint(_request_timeout=_TIMEOUT)
                    test = api.test_webhook_endpoint(_request_timeout=_TIMEOUT)
                    webhook = (endpoint.endpoint or "", bool(endpoint.active), bool(test.success), str(test.reason or ""))
                except NotFoundException:
                    webhook = ("", False, False, "NOT_SET")
        except ApiException as error:
            reason = f"LINE {error.status}"
            if error.status == 429 or (error.status or 500) >= 500:
                raise TemporaryError(reason) from error
            raise PermanentError(reason) from error
        except HTTPError as error:
            raise TemporaryError(f"LINE did not answer: {type(error).__name__}") from error
        limit = int(quota.value) if str(getattr(quota.type, "value", quota.type)) == "limited" and quota.value is not None else None
        mode = str(getattr(info.chat_mode, "value", info.chat_mode))
        return LineSetup(info.display_name, mode, *webhook, limit, int(used.total_usage))
