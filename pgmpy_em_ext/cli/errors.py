"""What goes wrong, in one line on stderr and in the words of the command line."""

import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

USER_ERRORS = (click.ClickException, ValueError, TypeError, OSError, ImportError)
"""What a user can put right; anything else is our fault and keeps its traceback."""

IN_OUR_WORDS = (
    (r"declare it with model\.latents = \{\.\.\., '(.*?)'\}", r"name it with --latent \1"),
    (r"set model\.latents without the variable", "leave out its --latent, unless the network's file calls it latent"),
    (r"declare the state with state_names=\{.*?\}", "add the state to the network's file"),
    (r"by (the fitted model|the model's CPDs)", "by the network's file"),
    (r"^latent_card says (\d+) states for '(.*?)', but", r"--latent \2=\1, but"),
    (r", or leave latent_card out", ""),
    (r"^init_cpds( |=)'(\w+)'", r"--init \2"),
    (r"^init_cpds: ", "--init model: "),
    (r"come from init_cpds", "come from the network's file"),
    (r"give (discrete|continuous)=\[\.\.\., '(.*?)'\]", r"say --\1 \2"),
    (r"^e_step '", "--e-step '"),
    (r"^(tol|max_iter|max_time|seed) must", lambda found: f"--{found[1].replace('_', '-')} must"),
    (r"^n_init must", "--restarts must"),
    (r"such as \((\S+), (\S+)\), or another variance_floor", r"such as \1:\2, or another variance_floor"),
    (r"\b(variance_prior|variance_floor)\b", lambda found: f"--{found[1].replace('_', '-')}"),
    (r"^ridge must", "--ridge must"),
    (r"Raise max_time, tol or n_jobs", "Raise --max-time, --tol or --jobs"),
    (r"^max_time=", "--max-time "),
    (r"max_iter=(\d+) steps: raise max_iter or tol", r"--max-iter \1 steps: raise --max-iter or --tol"),
    (r"Raise n_init, or give a prior or CPDs to start from", "Raise --restarts, or give a --prior"),
    (r"Use init_cpds='random', or give CPDs that differ between the states", "Use --init random"),
    (r"^n_jobs must", "--jobs must"),
)
"""Patterns of messages that speak to Python, and what to say on the command line."""

ERROR_STATUS = 2


def say(kind: str, message: str) -> None:
    """Write one line to stderr."""
    click.echo(f"pgmpy-em: {kind}: {' '.join(message.split())}", err=True)


class OneLineErrors(click.Group):
    """A group of commands that reports a user's error in one line, with status 2."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **options: Any
    ) -> NoReturn:
        """Run a command and leave the program."""
        options["standalone_mode"] = False  # so that errors reach us
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=FutureWarning, module=r"pgmpy\b")
                status = super().main(args, prog_name, **options)
        except click.Abort:
            say("error", "interrupted; nothing was written.")
            sys.exit(130)
        except USER_ERRORS as error:
            say("error", _explain(error))
            sys.exit(ERROR_STATUS)
        sys.exit(status if isinstance(status, int) else 0)


def _explain(error: Exception) -> str:
    """Give an error's message in the words of the command line, and for a wrong call the way to the help."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} Try '{error.ctx.command_path} --help'."
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return _in_our_words(str(error))


def _in_our_words(message: str) -> str:
    """Let a message that speaks to Python speak of options."""
    for in_python, here in IN_OUR_WORDS:
        message = re.sub(in_python, here, message)
    return message


@contextmanager
def short_warnings() -> Iterator[None]:
    """Turn warnings into single lines on stderr, without file and line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"pgmpy\b")
        yield
    for warning in caught:
        say("warning", _in_our_words(str(warning.message)))
