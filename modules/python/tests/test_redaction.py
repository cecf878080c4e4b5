"""What of a query, of headers and of JSON reaches the log."""

import pytest
from envoxyd_service import redaction


@pytest.mark.parametrize(
    "text,shown",
    [
        ("/p", "/p"),
        ("/p?a=1&b=", "/p?a=1&b="),
        ("/p?access_token=S&a=1", "/p?access_token=***&a=1"),
        ("a=1&Client-Secret=S=T", "a=1&Client-Secret=***"),
        ("?%74oken=S", "?%74oken=***"),
        ("/p?token", "/p?token"),
    ],
)
def test_a_query_loses_the_values_of_secret_names(text, shown):
    assert redaction.query(text) == shown


def test_json_and_headers_do_so_too():
    assert redaction.value({"a": [{"Password": "S", "b": 1}], 1: 2}) == {"a": [{"Password": "***", "b": 1}], 1: 2}
    assert redaction.headers([("AUTHORIZATION", "S"), ("Accept", "x")]) == {"AUTHORIZATION": "***", "Accept": "x"}


def test_the_line_of_a_request_does_so_too(serve, records):
    client = serve(
        """
@on(endpoint="/p", protocols=["http"])
class P(View):
    def get(self, request, **kwargs):
        return Response(dict(request.args))
__loader__ = [P]
""",
        log={"level": 8},
    )
    assert client.get("/p?token=S3CRET&a=1").json == {"token": "S3CRET", "a": "1"}
    log = str(records())
    assert "/p?token=***&a=1" in log and "S3CRET" not in log
