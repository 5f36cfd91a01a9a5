"""How to get into a Kafka is read from the environment or a profile; mistakes are told all at once, secrets never."""

from pathlib import Path

import pytest

from mqverify.backends.kafka.addresses import are_addresses, split_addresses
from mqverify.backends.kafka.security import PREFIX, security
from mqverify.errors import UsageError

SECRET = "correct horse battery staple"


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": "/bin", **{PREFIX + name.upper(): text for name, text in settings.items()}}


SCRAM = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "scram-sha-512",
    "sasl_username": "alice",
    "sasl_password": SECRET,
}


def test_the_environment_becomes_what_clients_are_told(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("a certificate")
    assert security({}) == {}
    assert security(environment(**SCRAM, ssl_cafile=str(ca), ssl_check_hostname="no")) == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "alice",
        "sasl_plain_password": SECRET,
        "ssl_cafile": str(ca),
        "ssl_check_hostname": False,
    }


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    settings = {name: text for name, text in SCRAM.items() if name != "sasl_password"}
    assert security(environment(**settings, sasl_password_file=str(path)))["sasl_plain_password"] == SECRET
    with pytest.raises(UsageError, match="said twice"):
        security(environment(**SCRAM, sasl_password_file=str(path)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"security_protcol": "SSL"}, "no such setting; did you mean MQVERIFY_KAFKA_SECURITY_PROTOCOL?"),
        ({"security_protocol": "SSLL"}, "'SSLL' is none of PLAINTEXT, SSL, .*; did you mean SSL?"),
        ({"security_protocol": "SSL", "ssl_cafile": "/no/such"}, "the file /no/such cannot be read: No such file"),
        ({"ssl_check_hostname": "false"}, "for TLS the security protocol is SSL or SASL_SSL, and it is PLAINTEXT"),
        ({"sasl_username": "alice"}, "for SASL the security protocol is"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "needs MQVERIFY_KAFKA_SASL_USERNAME, MQVERIFY"),
        ({**SCRAM, "sasl_mechanism": "GSSAPI"}, "'GSSAPI' is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ({**SCRAM, "ssl_check_hostname": "perhaps"}, "it is true or false"),
        ({**SCRAM, "sasl_passwort": SECRET}, "did you mean MQVERIFY_KAFKA_SASL_PASSWORD?"),
        ({"security_protocol": "SASL_SSL", "sasl_password_file": SECRET}, "that file cannot be read"),
    ],
)
def test_mistakes_are_told_and_secrets_are_not(settings: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        security(environment(**settings))
    assert SECRET not in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        security(environment(security_protocol="TLS", ssl_cafile="/no/such", colour="red"))
    assert str(caught.value).count("\n") == 3


PROFILE = """
[staging.kafka]
security_protocol = "SASL_PLAINTEXT"
sasl_mechanism = "PLAIN"
sasl_username = "alice"
sasl_password = {env = "STAGING_PASSWORD"}
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "mqverify" / "profiles.toml"
    path.parent.mkdir()
    path.write_text(PROFILE)
    path.chmod(0o600)
    return path


def test_a_profile_names_variables_and_the_environment_goes_before_it(profiles: Path) -> None:
    found = security({"STAGING_PASSWORD": SECRET}, "staging")
    assert found["sasl_plain_password"] == SECRET
    assert found["security_protocol"] == "SASL_PLAINTEXT"
    given = {"STAGING_PASSWORD": SECRET, **environment(sasl_username="bob", sasl_password="other")}
    found = security(given, "staging")
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("bob", "other")


def test_a_profile_that_others_may_read_is_refused(profiles: Path) -> None:
    profiles.chmod(0o640)
    with pytest.raises(UsageError, match=r"others may read or change .*: `chmod 600"):
        security({"STAGING_PASSWORD": SECRET}, "staging")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("stagin", PROFILE, "has no profile 'stagin'; did you mean 'staging'?"),
        ("staging", PROFILE, "the environment has no variable STAGING_PASSWORD"),
        ("staging", "[staging.kafka]\nsasl_usrname = 'x'", r"sasl_usrname of \[staging.kafka\] .*did you mean sasl_u"),
        ("staging", "[staging.kafka]\nsasl_username = 5", "it is a text in quotes, true or false"),
        ("staging", f"[staging.kafka\npassword = '{SECRET}'", "not TOML"),
    ],
)
def test_mistakes_in_profiles(profiles: Path, name: str, text: str, says: str) -> None:
    profiles.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        security({}, name)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("kafka:9092", [("kafka", 9092)]),
        ("kafka-1.example.org:9092,10.0.0.2:9093", [("kafka-1.example.org", 9092), ("10.0.0.2", 9093)]),
        ("[::1]:9092", [("::1", 9092)]),
        ("[fe80::1%eth0]:9092,b:1", [("fe80::1%eth0", 9092), ("b", 1)]),
    ],
)
def test_addresses(text: str, addresses: list[tuple[str, int]]) -> None:
    assert are_addresses(text)
    assert split_addresses(text) == addresses


@pytest.mark.parametrize(
    "text", ["", "kafka", "kafka:", ":9092", "kafka:0", "kafka:65536", "::1:9092", "a:1,", "a:1 b:2", "local:9092"]
)
def test_no_addresses(text: str) -> None:
    assert not are_addresses(text)
