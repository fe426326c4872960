#!/bin/sh
# Once, in the new database server: the gateway's own role, which row-level security holds for (docs/operations.md).
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/database-password)" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE dgis LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE dgis OWNER dgis;
SQL
