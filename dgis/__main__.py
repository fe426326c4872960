from dgis.cli.main import run

run()
