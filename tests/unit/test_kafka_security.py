"""What clients of Kafka prove themselves with: the password is had from where it is said, is shown nowhere, and what lacks is named."""

from pathlib import Path
from typing import Any

import pytest

from agents.credentials import credentials
from infra.embedded.processes import Process, environment
from infra.kafka import Log
from infra.kafka.security import security_arguments
from infra.settings import Settings
from streams.errors import Invalid

USER: dict[str, Any] = {"kafka_security": "SASL_PLAINTEXT", "kafka_user": "assay", "kafka_password": "secret-1"}


def test_without_security_nothing_is_given() -> None:
    """To Faust neither."""
    assert security_arguments(Settings()) == {"security_protocol": "PLAINTEXT"}
    assert credentials(Settings()) is None


def test_a_password_comes_from_its_file_first(tmp_path: Path) -> None:
    """Without the end of its line; Faust gets the same."""
    file = tmp_path / "password"
    file.write_text("secret-2\n")
    settings = Settings.model_validate(USER | {"kafka_password_file": file, "kafka_mechanism": "SCRAM-SHA-256"})
    told = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": "assay", "sasl_plain_password": "secret-2"}
    assert security_arguments(settings) == {"security_protocol": "SASL_PLAINTEXT"} | told
    faust = credentials(settings)
    assert faust is not None
    assert (faust.username, faust.password, faust.mechanism.value) == ("assay", "secret-2", "SCRAM-SHA-256")


def test_a_password_is_shown_nowhere_but_to_children() -> None:
    """Settings can be logged."""
    settings = Settings.model_validate(USER)
    assert "secret-1" not in repr(settings) + str(settings)
    assert environment(Process("any", ("any",)), settings)["ASSAY_KAFKA_PASSWORD"] == "secret-1"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kafka_user": ""}, "needs a user; set ASSAY_KAFKA_USER"),
        ({"kafka_password": ""}, "needs a password; set ASSAY_KAFKA_PASSWORD_FILE or ASSAY_KAFKA_PASSWORD"),
        ({"kafka_password_file": "/no/such"}, "ASSAY_KAFKA_PASSWORD_FILE=/no/such cannot be used .*No such file"),
        ({"kafka_security": "SSL", "kafka_ca": "/no/such"}, "ASSAY_KAFKA_CA=/no/such cannot be used .*No such file"),
        ({"kafka_security": "SSL", "kafka_ca": __file__}, "ASSAY_KAFKA_CA=.* cannot be used"),
        ({"kafka_security": "SSL", "kafka_certificate": __file__}, "ASSAY_KAFKA_CERTIFICATE=.* cannot be used"),
    ],
)
def test_what_lacks_is_named_before_anything_is_tried(settings: dict[str, Any], says: str) -> None:
    """By its variable, with what to do."""
    with pytest.raises(Invalid, match=says):
        Log(Settings.model_validate(USER | settings), client_id="test")
