"""How clients get into a cluster that is not ours: TLS and SASL, from the environment or a profile of the user's.

The environment's variables are `MQVERIFY_KAFKA_` and the name of a setting in capitals; a profile is the table
`[NAME.kafka]` of `profiles.toml` in the user's configuration folder. Both hold secrets, which are told to clients only.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mqverify.errors import UsageError
from mqverify.spec.issues import did_you_mean
from mqverify.user_folders import config_folder

__all__ = ["PREFIX", "profiles_file", "security"]

PREFIX = "MQVERIFY_KAFKA_"

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PASSWORDS = {"sasl_password", "sasl_password_file"}
_OTHERS_MAY_READ = 0o077


class _Wrong(Exception):
    """A value that cannot be; the text never shows a secret."""


def _choice(*known: str) -> Callable[[str], Any]:
    def read(text: str) -> str:
        if text.upper() in known:
            return text.upper()
        meant = did_you_mean(text.upper(), known)
        raise _Wrong(f"{text!r} is none of {', '.join(known)}" + (f"; did you mean {meant}?" if meant else ""))

    return read


def _file(text: str) -> str:
    path = Path(text).expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise _Wrong(f"the file {text} cannot be read: {error.strerror}") from None
    return str(path.absolute())


def _flag(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise _Wrong("it is true or false")
    return known[text.lower()]


def _secret(text: str) -> str:
    if not text:
        raise _Wrong("it is empty")
    return text


def _secret_in_file(text: str) -> str:
    """The file's name is not told: people put the password itself there by mistake."""
    try:
        return _secret(Path(text).expanduser().read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, ValueError):
        raise _Wrong("that file cannot be read") from None


_SETTINGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "security_protocol": ("security_protocol", _choice(*_PROTOCOLS)),
    "ssl_cafile": ("ssl_cafile", _file),
    "ssl_certfile": ("ssl_certfile", _file),
    "ssl_keyfile": ("ssl_keyfile", _file),
    "ssl_password": ("ssl_password", _secret),
    "ssl_check_hostname": ("ssl_check_hostname", _flag),
    "sasl_mechanism": ("sasl_mechanism", _choice(*_MECHANISMS)),
    "sasl_username": ("sasl_plain_username", _secret),
    "sasl_password": ("sasl_plain_password", _secret),
    "sasl_password_file": ("sasl_plain_password", _secret_in_file),
}
"""Our names → kafka-python's, and how their values are read."""


def profiles_file() -> Path:
    return config_folder() / "profiles.toml"


def security(environment: Mapping[str, str], profile: str | None = None) -> Mapping[str, Any]:
    """The arguments of kafka-python's clients. The environment goes before the profile.

    Raises UsageError, which tells all that is wrong and no secret.
    """
    wrong: list[str] = []
    given = _of_profile(profile, environment, wrong) if profile is not None else {}
    said = {
        variable.removeprefix(PREFIX).lower(): (variable, text)
        for variable, text in sorted(environment.items())
        if variable.startswith(PREFIX)
    }
    if _PASSWORDS & said.keys():
        given = {name: told for name, told in given.items() if name not in _PASSWORDS}
    given = {**given, **said}
    found = _read(given, wrong)
    _require_whole(found, {name: told[0] for name, told in given.items()}, wrong)
    if wrong:
        raise UsageError("how to get into Kafka is said wrongly:\n" + "\n".join(f"  {one}" for one in wrong))
    return found


_Given = Mapping[str, tuple[str, str]]
"""By our names: what a setting is called where it stands, and its text."""


def _of_profile(name: str, environment: Mapping[str, str], wrong: list[str]) -> _Given:
    path = profiles_file()
    try:
        others = path.stat().st_mode & _OTHERS_MAY_READ
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        wrong.append(f"the profile {name!r}: {path} cannot be read: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        wrong.append(
            f"{path} is not TOML: {str(error).splitlines()[0]}" if "line" in str(error) else f"{path}: not TOML"
        )
        return {}
    if others:
        wrong.append(f"others may read or change {path}, and it may hold passwords: `chmod 600 {path}`")
        return {}
    if name not in tables:
        meant = did_you_mean(name, tables)
        hint = f"did you mean {meant!r}?" if meant else f"there are {', '.join(tables) or 'none'}"
        wrong.append(f"{path} has no profile {name!r}; {hint}")
        return {}
    table = tables[name].get("kafka", {}) if isinstance(tables[name], dict) else {}
    found = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        where = f"{key} of [{name}.kafka] in {path}"
        match value:
            case bool():
                found[key] = (where, "true" if value else "false")
            case str():
                found[key] = (where, value)
            case {"env": str(variable), **more} if not more:
                if variable in environment:
                    found[key] = (where, environment[variable])
                else:
                    wrong.append(f"{where}: the environment has no variable {variable}")
            case _:
                wrong.append(f'{where}: it is a text in quotes, true or false, or {{env = "VARIABLE"}}')
    return found


def _read(given: _Given, wrong: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (where, text) in given.items():
        if name not in _SETTINGS:
            meant = did_you_mean(name, _SETTINGS)
            in_capitals = where.startswith(PREFIX)
            known = [PREFIX + one.upper() if in_capitals else one for one in ([meant] if meant else _SETTINGS)]
            hint = f"did you mean {known[0]}?" if meant else f"there are {', '.join(known)}"
            wrong.append(f"{where}: there is no such setting; {hint}")
            continue
        native, read = _SETTINGS[name]
        try:
            if native in found:
                raise _Wrong("the password is said twice; keep one of sasl_password and sasl_password_file")
            found[native] = read(text)
        except _Wrong as error:
            wrong.append(f"{where}: {error}")
    return found


def _require_whole(found: Mapping[str, Any], where: Mapping[str, str], wrong: list[str]) -> None:
    """What is said has to make sense together: nobody thinks to be safe who is not."""
    if wrong or not found:
        return
    protocol = found.get("security_protocol", "PLAINTEXT")
    ssl = [where[name] for name in where if name.startswith("ssl_")]
    sasl = [where[name] for name in where if name.startswith("sasl_")]
    if ssl and not protocol.endswith("SSL"):
        wrong.append(f"{', '.join(ssl)}: for TLS the security protocol is SSL or SASL_SSL, and it is {protocol}")
    if sasl and not protocol.startswith("SASL"):
        wrong.append(
            f"{', '.join(sasl)}: for SASL the security protocol is SASL_SSL or SASL_PLAINTEXT, and it is {protocol}"
        )
    if protocol.startswith("SASL"):
        needed = {
            "sasl_mechanism": "sasl_mechanism",
            "sasl_plain_username": "sasl_username",
            "sasl_plain_password": "sasl_password",
        }
        missing = [ours for native, ours in needed.items() if native not in found]
        if missing:
            names = ", ".join(f"{PREFIX}{name.upper()}" for name in missing)
            wrong.append(f"{protocol} needs {names} too (or {', '.join(missing)} in a profile)")
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        wrong.append(f"{where['ssl_keyfile']}: a key without a certificate; say {PREFIX}SSL_CERTFILE too")
