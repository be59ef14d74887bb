"""`rollback local`: a cloud on this machine, in which a newcomer plays an incident. One verb, one file."""

import typer

from rollback_cli.verbs.development.local import down, env, ship, traffic, up

app = typer.Typer(no_args_is_help=True, help="Run the embedded cloud on this machine, and play an incident in it.")
app.command("up")(up.up)
app.command("env")(env.env)
app.command("ship")(ship.ship)
app.command("traffic")(traffic.traffic)
app.command("down")(down.down)
