"""The command `fjarrvakt`: data to stdout, progress and logs to stderr.

Exit codes: 0 done; 1 it did not work, the message says why; 2 wrong use of the command;
78 wrong settings.
"""

import typer

from fjarrvakt.commands import bench, database, decode, demo, journal, master, run

app = typer.Typer(
    name="fjarrvakt",
    help="Watches district heating and cooling.",
    epilog="Exit codes: 0 done; 1 it did not work; 2 wrong use; 78 wrong settings.",
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich costs --help a third of its time
    pretty_exceptions_show_locals=False,  # locals hold secrets
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.run)
app.command()(run.warm)
app.command()(run.check)
app.command()(run.version)
app.command()(demo.demo)
app.command()(decode.decode)
app.command()(bench.bench)
app.add_typer(database.app, name="db")
app.add_typer(master.meter, name="meter")
app.add_typer(master.facility, name="facility")
app.add_typer(master.user, name="user")
app.add_typer(journal.app, name="journal")

if __name__ == "__main__":
    app()
