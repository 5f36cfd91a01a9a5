"""`mqverify`, and `python -m mqverify`: the one place where exceptions become messages and exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mqverify.errors import MqverifyError, OutputError, SpecError
from mqverify.report import exits
from mqverify.report.standard import output_error, told_as_output_error

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    _open_what_is_closed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us gets what is known, as with Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # what the terminal's encoding lacks is shown escaped, it never crashes us
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        code = _invoke(arguments)
        with told_as_output_error():
            sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - the last resort: what is not ours is our bug
        error = _named(caught)
        code = exits.code_of(error)
        if code == exits.CLOSED_PIPE:
            _silence_stdout()
        elif isinstance(error, OutputError):
            _silence_stdout()
            _tell(str(error))
        elif code == exits.OUR_BUG:
            _tell_bug(error, arguments)
        elif code == exits.INTERRUPTED:
            _say("interrupted before anything was judged\n")
        elif isinstance(error, SpecError):
            _tell_diagnostics(error)
        elif isinstance(error, MqverifyError):
            _tell(str(error))
        return code


def _open_what_is_closed() -> None:
    """Where a shell has closed a stream (`>&-`), nobody reads it: what we write there goes nowhere."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as we live
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as we live


def _invoke(arguments: list[str]) -> int:

    from mqverify.cli import app
    from mqverify.cli.defaults import defaults_for

    asks_only = {"-h", "--help", "--version"}.intersection(arguments)
    defaults = {} if asks_only or not arguments else defaults_for(app, Path.cwd())
    try:
        app(arguments, prog_name="mqverify", default_map=defaults)
    except SystemExit as stop:
        context = stop.__context__  # typer ends two things in a way of its own
        if isinstance(context, BrokenPipeError):
            raise context from None
        if context is not None and isinstance(context.__cause__, KeyboardInterrupt):
            raise context.__cause__ from None
        return stop.code if isinstance(stop.code, int) else exits.AS_EXPECTED
    return exits.AS_EXPECTED


def _named(error: BaseException) -> BaseException:
    """The error as one of ours, if it is typer that could not print a help text or an answer."""
    import traceback

    if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
        return error
    return output_error(error) if traceback.extract_tb(error.__traceback__)[-1].name == "echo" else error


def _say(text: str) -> None:
    """Write to standard error. Where nobody takes it any more, the exit code still says how it ended."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _silence_stdout() -> None:
    """Whoever read our output has gone (`mqverify … | head`): Python's own flush at exit must not complain either."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_diagnostics(error: SpecError) -> None:
    from mqverify.spec.render import render

    for diagnostic in error.diagnostics:
        _say(f"{render(diagnostic)}\n\n")
    _tell(f"{error}; nothing was run")


def _tell(message: str) -> None:
    from mqverify.report.text import plain

    safe = plain(message, keep="\n")
    _say(f"error: {safe}\n")


def _tell_bug(error: BaseException, arguments: list[str]) -> None:
    import platform
    import traceback

    from mqverify import __version__

    if any(argument in ("-v", "--verbose") for argument in arguments):
        shown = "".join(traceback.format_exception(error)).rstrip()
        hint = "Report it"
    else:
        ours = [
            at for at in traceback.extract_tb(error.__traceback__) if at.filename.startswith(str(Path(__file__).parent))
        ]
        shown = f"{type(error).__name__}: {error}" + "".join(f" ({at.filename}:{at.lineno})" for at in ours[-1:])
        hint = "`mqverify -v …` shows the traceback. Report it (CONTRIBUTING.md says how)"
    _tell(f"this is a bug of mqverify, not a mistake of yours.\n{shown}")
    version, python, machine = __version__, platform.python_version(), platform.platform()
    _say(f"{hint} with mqverify {version}, Python {python}, {machine}.\n")


if __name__ == "__main__":
    main()
