#!/bin/sh
# backup.sh HOME TARGET: database and key stores of a gateway, which may run meanwhile. One folder a day, the
# newest DGIS_BACKUP_KEEP (14) are kept; say so in backup.keep_days. A folder gets its name when all is in it.
#
# With PGDATABASE set the database is PostgreSQL (libpq's variables say where), else SQLite under HOME.
# DGIS_KEY_STORES names the key stores where they do not lie under HOME/keys. The key-encryption key and the site
# secret are not in it: whoever has keys and stores opens every seal. Keep them apart.
set -eu
home=$1 target=$2 keep=${DGIS_BACKUP_KEEP:-14}
python=${DGIS_PYTHON:-/opt/dgis/venv/bin/python}
umask 077
mkdir -p "$target"
name=$(date +%Y-%m-%dT%H%M%S)
part="$target/.$name.part"
rm -rf "$target"/.*.part
mkdir "$part"

if [ -n "${PGDATABASE:-}" ]; then
    PGOPTIONS="-c dgis.originals=all" pg_dump --enable-row-security --format=custom --file="$part/database.dump"
    pg_restore --list "$part/database.dump" >/dev/null
else
    "$python" - "$home/catalog.sqlite" "$part/catalog.sqlite" <<'PYTHON'
import sqlite3, sys
source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
target = sqlite3.connect(sys.argv[2])
source.backup(target, pages=4096)
assert target.execute("PRAGMA quick_check").fetchone() == ("ok",)
target.close()
PYTHON
fi

# Key stores last: then every key that a row of the backup speaks of is in it.
set -- ${DGIS_KEY_STORES:-"$home"/keys/store-*}
number=0
for store in "$@"; do
    [ -f "$store/vault.json" ] || { echo "backup: no key store at $store" >&2; exit 1; }
    number=$((number + 1))
    tar -C "$store" -czf "$part/key-store-$number.tar.gz" .
done

sync "$part"/* "$part"
mv "$part" "$target/$name"
sync "$target"
echo "backup: $target/$name"

ls -1d "$target"/[0-9]*T* | sort -r | tail -n +$((keep + 1)) | while read -r old; do rm -rf "$old"; done
