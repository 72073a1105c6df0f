"""The client says what the API's documentation asks for, and says in words what comes back."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from typing import Any

import pytest

from etl import settings as settings_module
from etl.errors import SettingsError
from etl.powerbi.client import (
    Access,
    Form,
    NotNowError,
    PowerBi,
    RefusedError,
    Seen,
    Target,
    UnreachableError,
    configured_access,
    configured_target,
    retry_after,
)
from tests.powerbi_service import (
    CLIENT,
    DATASET,
    SCOPE,
    SECRET,
    TENANT,
    WORKSPACE,
    Reply,
    Service,
    error,
    service,
)

TARGET = Target(workspace_id=WORKSPACE, dataset_id=DATASET)
FORMS = tuple(Form)


@pytest.fixture
def powerbi() -> Iterator[Service]:
    with service() as opened:
        yield opened


def access_to(address: str, **other: str) -> Access:
    return Access(
        **{
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "authority_url": address,
            "api_url": address,
            "scope": SCOPE,
            **other,
        }
    )


@pytest.fixture
def client(powerbi: Service) -> PowerBi:
    return PowerBi(access_to(powerbi.address))


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (Form.STANDARD, {"notifyOption": "NoNotification"}),
        (Form.ENHANCED, {"type": "Full", "commitMode": "transactional"}),
    ],
)
def test_a_refresh_is_asked_for_and_followed(
    powerbi: Service, client: PowerBi, form: Form, body: dict[str, str]
) -> None:
    request_id = client.start(TARGET, form)
    assert powerbi.posts == [body]
    assert request_id == powerbi.refreshes[0]["requestId"]
    assert client.look(TARGET, form, request_id) == Seen(is_over=False)
    powerbi.finish()
    assert client.look(TARGET, form, request_id) == Seen(is_over=True)
    assert len(powerbi.tokens) == 1  # one token serves them all


@pytest.mark.parametrize("header", ["RequestId", "x-ms-request-id", "requestid"])
def test_the_id_stands_in_one_of_two_headers(
    powerbi: Service, client: PowerBi, header: str
) -> None:
    powerbi.id_header = header
    request_id = client.start(TARGET, Form.STANDARD)
    assert request_id == powerbi.refreshes[0]["requestId"]


@pytest.mark.parametrize("listed", ["aaaa-1", "BBBB-2"])
def test_two_ids_that_differ_are_both_looked_for(
    powerbi: Service, client: PowerBi, listed: str
) -> None:
    both = {"x-ms-request-id": "aaaa-1", "RequestId": "bbbb-2"}
    powerbi.replies["POST"] = [Reply(202, None, both)]
    request_id = client.start(TARGET, Form.STANDARD)
    powerbi.refreshes.append({"requestId": listed, "status": "Completed"})
    assert client.look(TARGET, Form.STANDARD, request_id) == Seen(is_over=True)


def test_an_enhanced_refresh_is_named_by_its_location(powerbi: Service, client: PowerBi) -> None:
    headers = {"Location": f"{powerbi.address}/x/aaaa-1?y=z", "x-ms-request-id": "bbbb-2"}
    powerbi.replies["POST"] = [Reply(202, None, headers)]
    assert client.start(TARGET, Form.ENHANCED) == "aaaa-1"


@pytest.mark.parametrize(
    ("form", "end", "words"),
    [
        (
            Form.STANDARD,
            {
                "status": "Failed",
                "serviceExceptionJson": '{"errorCode":"ModelRefreshFailed_CredentialsNotSpecified"}',
            },
            "it failed in Power BI: ModelRefreshFailed_CredentialsNotSpecified",
        ),
        (Form.STANDARD, {"status": "Failed", "serviceExceptionJson": "no JSON"}, "it failed"),
        (Form.STANDARD, {"status": "Disabled"}, "switch it on there"),
        (Form.STANDARD, {"status": "Cancelled"}, "it was cancelled in Power BI"),
        (
            Form.ENHANCED,
            {
                "status": "Failed",
                "messages": [
                    {"type": "Warning", "message": "slow"},
                    {"type": "Error", "message": "The gateway\nis offline", "code": "0xC1"},
                ],
            },
            "it failed in Power BI: The gateway is offline",
        ),
        (
            Form.ENHANCED,
            {"status": "Failed", "extendedStatus": "TimedOut"},
            "it took longer than Power BI allows",
        ),
        (Form.ENHANCED, {"status": "Unknown2", "extendedStatus": "Cancelled"}, "was cancelled"),
    ],
)
def test_a_refresh_that_failed_says_why(
    powerbi: Service, client: PowerBi, form: Form, end: dict[str, Any], words: str
) -> None:
    request_id = client.start(TARGET, form)
    powerbi.finish(**end)
    seen = client.look(TARGET, form, request_id)
    assert seen.is_over
    assert words in str(seen.error)
    assert "slow" not in str(seen.error)


@pytest.mark.parametrize("form", FORMS)
def test_what_the_service_does_not_list_yet_is_under_way(client: PowerBi, form: Form) -> None:
    # the history of standard ones is cut: what it does not list may still be there
    seen = client.look(TARGET, form, "66666666-6666")
    assert seen == Seen(is_over=False, is_known=form is Form.STANDARD)


def test_another_refresh_in_the_history_is_not_ours(powerbi: Service, client: PowerBi) -> None:
    request_id = client.start(TARGET, Form.STANDARD)
    powerbi.refreshes.insert(0, {"requestId": "other", "status": "Failed"})
    powerbi.refreshes[1]["status"] = "Completed"
    assert client.look(TARGET, Form.STANDARD, request_id.upper()) == Seen(is_over=True)


@pytest.mark.parametrize("form", FORMS)
def test_a_refresh_that_is_under_way_is_waited_for(
    powerbi: Service, client: PowerBi, form: Form
) -> None:
    powerbi.begin_other()
    with pytest.raises(NotNowError, match=r"another refresh .* is under way") as caught:
        client.start(TARGET, form)
    assert caught.value.seconds == 60


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, error("RefreshInProgressException", "")),
        (400, {"error": {"code": "RefreshInProgressException", "pbi.error": {}}}),
    ],
)
def test_other_words_for_under_way(
    powerbi: Service, client: PowerBi, status: int, body: Any
) -> None:
    powerbi.replies["POST"] = [Reply(status, body)]
    with pytest.raises(NotNowError, match="under way"):
        client.start(TARGET, Form.ENHANCED)


def test_the_limit_of_the_service_is_waited_for(powerbi: Service, client: PowerBi) -> None:
    words = (
        "Invalid dataset refresh request. Number of refresh requests in last 24 hours "
        "exceeded limit"
    )
    powerbi.replies["POST"] = [Reply(400, error("InvalidRequest", words))]
    with pytest.raises(NotNowError, match="within 24 hours is used up") as caught:
        client.start(TARGET, Form.STANDARD)
    assert caught.value.seconds == 3600


@pytest.mark.parametrize("kind", ["token", "POST"])
def test_patience_that_is_asked_for(powerbi: Service, client: PowerBi, kind: str) -> None:
    powerbi.replies[kind] = [Reply(429, None, {"Retry-After": "37"}), Reply(429)]
    with pytest.raises(NotNowError, match="429") as caught:
        client.start(TARGET, Form.STANDARD)
    assert caught.value.seconds == 37
    with pytest.raises(NotNowError) as caught:
        client.start(TARGET, Form.STANDARD)
    assert caught.value.seconds == 60


NOON = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120),
        (" 0 ", None, 1),
        ("999999999", None, 86400),
        (format_datetime(NOON + dt.timedelta(seconds=90), usegmt=True), None, 90),
        # the service's clock is an hour ahead of ours
        (
            format_datetime(NOON + dt.timedelta(hours=1, seconds=30), usegmt=True),
            format_datetime(NOON + dt.timedelta(hours=1), usegmt=True),
            30,
        ),
        (format_datetime(NOON - dt.timedelta(days=1), usegmt=True), None, 1),
        ("soon", None, None),
        ("-5", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_seconds_or_a_moment(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(value, date, NOON) == seconds


@pytest.mark.parametrize("form", FORMS)
def test_a_token_that_expired_is_replaced_once(
    powerbi: Service, client: PowerBi, form: Form
) -> None:
    request_id = client.start(TARGET, form)
    powerbi.tokens.append("the service forgot ours")
    powerbi.finish()
    assert client.look(TARGET, form, request_id).is_over
    assert len(powerbi.looks) == 2


def test_a_new_token_that_is_not_accepted_is_a_clear_failure(
    powerbi: Service, client: PowerBi
) -> None:
    powerbi.replies["POST"] = [Reply(401), Reply(401)]
    with pytest.raises(RefusedError, match="does not accept the service principal"):
        client.start(TARGET, Form.STANDARD)
    assert [one.method for one in powerbi.requests] == ["token", "POST", "token", "POST"]


def test_a_token_is_replaced_before_it_ends(powerbi: Service) -> None:
    now = [1000.0]
    client = PowerBi(access_to(powerbi.address), clock=lambda: now[0])
    request_id = client.start(TARGET, Form.STANDARD)
    for later, tokens in ((1000.0 + 3599 - 121, 1), (1000.0 + 3599 - 119, 2)):
        now[0] = later
        client.look(TARGET, Form.STANDARD, request_id)
        assert len(powerbi.tokens) == tokens


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, None, "service principals to call the APIs in the tenant settings"),
        (403, error("PowerBINotAuthorizedException", "no"), "contributor of the workspace"),
        (404, error("PowerBIEntityNotFound", "Dataset X is not found"), "POWERBI_DATASET_ID names"),
        (404, error("PowerBIFolderNotFound", "Group X"), "POWERBI_WORKSPACE_ID names"),
        (404, None, "POWERBI_WORKSPACE_ID or REVENUE_POWERBI_DATASET_ID"),
        (
            400,
            error("InvalidRequest", "a DirectQuery model"),
            "says: InvalidRequest: a DirectQuery",
        ),
        (418, "tea", "418"),
    ],
)
def test_a_refusal_says_what_to_do(
    powerbi: Service, client: PowerBi, status: int, body: Any, words: str
) -> None:
    powerbi.replies["POST"] = [Reply(status, body)]
    with pytest.raises(RefusedError) as caught:
        client.start(TARGET, Form.STANDARD)
    assert words in caught.value.message


def test_the_enhanced_form_on_shared_capacity_names_the_setting(
    powerbi: Service, client: PowerBi
) -> None:
    powerbi.is_premium = False
    with pytest.raises(RefusedError, match="REVENUE_POWERBI_REFRESH must be `standard`"):
        client.start(TARGET, Form.ENHANCED)


def test_a_redirect_is_not_followed(powerbi: Service, client: PowerBi) -> None:
    elsewhere = {"Location": f"{powerbi.address}/elsewhere"}
    powerbi.replies["POST"] = [Reply(307, None, elsewhere)]
    with pytest.raises(RefusedError, match="another address"):
        client.start(TARGET, Form.STANDARD)
    assert all("elsewhere" not in one.path for one in powerbi.requests)


@pytest.mark.parametrize("kind", ["token", "POST"])
def test_a_service_out_of_order_is_no_refusal(powerbi: Service, client: PowerBi, kind: str) -> None:
    powerbi.replies[kind] = [Reply(503, None, {"Retry-After": "9"})]
    with pytest.raises(UnreachableError, match="out of order") as caught:
        client.start(TARGET, Form.STANDARD)
    assert caught.value.seconds == 9


def test_a_service_that_is_not_there(powerbi: Service, client: PowerBi) -> None:
    powerbi.close()
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        client.start(TARGET, Form.STANDARD)


@pytest.mark.parametrize("body", [None, [], {"access_token": 3}, {"access_token": "a\nb"}])
def test_a_token_that_is_none(powerbi: Service, client: PowerBi, body: Any) -> None:
    powerbi.replies["token"] = [Reply(200, body)]
    with pytest.raises(UnreachableError, match="without a token"):
        client.start(TARGET, Form.STANDARD)


@pytest.mark.parametrize("form", FORMS)
def test_a_refresh_without_an_id_cannot_be_followed(
    powerbi: Service, client: PowerBi, form: Form
) -> None:
    powerbi.replies["POST"] = [Reply(202, None, {"RequestId": "../../x", "Location": "/refreshes"})]
    with pytest.raises(RefusedError, match="gave no id"):
        client.start(TARGET, form)


def test_a_wrong_secret_is_named_and_never_shown(
    powerbi: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = PowerBi(access_to(powerbi.address, client_secret="abcd"))
    with pytest.raises(RefusedError, match="REVENUE_POWERBI_CLIENT_SECRET") as caught:
        client.start(TARGET, Form.STANDARD)
    assert "AADSTS7000215" in caught.value.message
    powerbi.replies["token"] = [
        Reply(400, {"error": "x", "error_description": "not abcd Trace ID: 77"})
    ]
    with pytest.raises(RefusedError) as caught:
        client.start(TARGET, Form.STANDARD)
    assert caught.value.message.endswith("says: x: not …")
    assert "abcd" not in caplog.text
    assert "abcd" not in repr(client._access)


@pytest.mark.parametrize("statuses", [(400,), (401, 401)])
def test_a_token_that_the_service_repeats_is_not_shown(
    powerbi: Service,
    client: PowerBi,
    caplog: pytest.LogCaptureFixture,
    statuses: tuple[int, ...],
) -> None:
    caplog.set_level(logging.DEBUG)
    powerbi.replies["POST"] = [
        Reply(status, error("Bad", f"Bearer planted-token-{place} is bad"))
        for place, status in enumerate(statuses, start=1)
    ]
    with pytest.raises(RefusedError) as caught:
        client.start(TARGET, Form.STANDARD)
    assert "planted-token" not in caught.value.message + caplog.text


def test_words_of_the_service_fit_into_a_table(powerbi: Service, client: PowerBi) -> None:
    request_id = client.start(TARGET, Form.ENHANCED)
    message = "bad \x00\ud800 Host=db;Password=planted; " + "x" * 500
    powerbi.finish("Failed", messages=[{"message": message}])
    told = str(client.look(TARGET, Form.ENHANCED, request_id).error)
    assert "bad ?" in told
    assert "Password=***" in told
    assert "planted" not in told
    assert len(told) < 350


def test_passwords_of_a_netrc_are_not_sent(
    powerbi: Service, client: PowerBi, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.start(TARGET, Form.STANDARD)  # the service takes its bearer token alone
    assert len(powerbi.refreshes) == 1


# Settings -------------------------------------------------------------------------------


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    return settings_module.load


def test_what_is_missing_is_named(load: Callable[..., Any]) -> None:
    half = load(powerbi_refresh="standard", powerbi_tenant_id=TENANT, powerbi_workspace_id="")
    with pytest.raises(SettingsError) as caught:
        configured_access(half)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "WORKSPACE_ID", "DATASET_ID"):
        assert f"REVENUE_POWERBI_{name}" in caught.value.message
    assert "TENANT" not in caught.value.message
    with pytest.raises(SettingsError, match="needs REVENUE_POWERBI_WORKSPACE_ID, "):
        configured_target(half)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("powerbi_api_url", "http://api.powerbi.com"),
        ("powerbi_authority_url", "http://127.0.0.1.example.com"),
        ("powerbi_api_url", "https://user:word@host"),
        ("powerbi_api_url", "api.powerbi.com"),
        ("powerbi_dataset_id", "../../groups"),
        ("powerbi_workspace_id", f"{WORKSPACE}/x"),
        ("powerbi_tenant_id", "a/b"),
        ("powerbi_refresh", "sometimes"),
    ],
)
def test_settings_that_lead_elsewhere_are_refused(
    load: Callable[..., Any], name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"REVENUE_{name.upper()}"):
        load(**{name: value})


def test_addresses_of_a_sovereign_cloud(load: Callable[..., Any], powerbi: Service) -> None:
    settings = load(**powerbi.settings | {"powerbi_api_url": "https://api.powerbigov.us/"})
    assert configured_access(settings).api_url == "https://api.powerbigov.us"
    assert configured_access(settings).authority_url == powerbi.address
