# Sourced by .ci/run: what the suite needs of the system, installed and started where it is missing.

has_python_headers() {
  python3 -c "import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path('include') + '/Python.h'))" 2>/dev/null
}

# Install Debian packages, each only if its program is not there.
install_missing() {
  local wanted=()
  command -v redis-server >/dev/null || wanted+=(redis-server)
  command -v chromium-headless-shell >/dev/null || wanted+=(chromium-headless-shell)
  command -v pg_ctlcluster >/dev/null || wanted+=(postgresql)
  command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || wanted+=(mariadb-server)
  command -v mariadb_config >/dev/null || wanted+=(libmariadb-dev)
  command -v pkg-config >/dev/null || wanted+=(pkg-config)
  command -v gcc >/dev/null || wanted+=(gcc)
  command -v make >/dev/null || wanted+=(make)
  python3 -c "import ensurepip" 2>/dev/null || wanted+=(python3 python3-venv)
  has_python_headers || wanted+=(python3-dev)
  [ ${#wanted[@]} -eq 0 ] && return
  echo "Installing ${wanted[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

# Call a function until it succeeds, for at most half a minute.
await() {
  local tries
  for tries in $(seq 60); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done
  echo "Not there after 30 s: $*" >&2
  return 1
}

postgresql_answers() { psql "${TEST_POSTGRESQL_URL:-postgresql://postgres@127.0.0.1:5432/postgres}" -c "SELECT 1"; }

# A fresh cluster lets nobody in over TCP without a password, so it is given one.
start_postgresql() {
  { postgresql_answers >/dev/null 2>&1 || [ -n "${TEST_POSTGRESQL_URL:-}" ]; } && return
  pg_lsclusters -h | while read -r version name _; do
    pg_ctlcluster --skip-systemctl-redirect "$version" "$name" start || true
  done
  await pg_isready -q -h 127.0.0.1
  if ! postgresql_answers >/dev/null 2>&1; then
    su postgres -c "psql -qc \"ALTER USER postgres PASSWORD 'eda_django'\""
    export TEST_POSTGRESQL_URL=postgresql://postgres:eda_django@127.0.0.1:5432/postgres
    await postgresql_answers
  fi
}

# Without a URL of one's own: root, who has no password where he is let in over TCP.
mariadb_answers() {
  if [ -n "${TEST_MARIADB_URL:-}" ]; then
    mariadb -h 127.0.0.1 -u eda_django -peda_django -e "SELECT 1"
  else
    mariadb -h 127.0.0.1 -u root -e "SELECT 1"
  fi
}

start_mariadb() {
  { mariadb_answers >/dev/null 2>&1 || [ -n "${TEST_MARIADB_URL:-}" ]; } && return
  pgrep -x mariadbd >/dev/null || {
    install -d -o mysql /run/mysqld
    start-stop-daemon --start --oknodo --background --exec /usr/sbin/mariadbd -- --user=mysql
    await mariadb -e "SELECT 1"
  }
  if ! mariadb_answers >/dev/null 2>&1; then
    mariadb -e "GRANT ALL ON *.* TO eda_django@127.0.0.1 IDENTIFIED BY 'eda_django'"
    export TEST_MARIADB_URL=mysql://eda_django:eda_django@127.0.0.1:3306/mysql
    await mariadb_answers
  fi
}
