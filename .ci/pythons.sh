# Sourced by .ci/run: the Pythons of this machine, and an environment for each.

# Print the path of every CPython from 3.11 up, the oldest first, one a minor version.
find_pythons() {
  local minor candidate
  for minor in $(seq 11 20); do
    for candidate in "python3.$minor" "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/3."$minor".*/bin/python; do
      if "$candidate" -c "import sys; v = sys.version_info; sys.exit((*v[:2], v.releaselevel) != (3, $minor, 'final'))" 2>/dev/null; then
        echo "$candidate"
        break
      fi
    done
  done
}

# Make an environment: its folder, the Python, then what pip is to install.
make_environment() {
  local folder=$1 python=$2
  shift 2
  "$python" -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# Print the runtime dependencies of setup.cfg but for Django, each at the oldest version that it
# allows; or with the argument "django" that one only.
oldest_dependencies() {
  python3 - "$@" <<'PYTHON'
import sys
from configparser import ConfigParser

parser = ConfigParser()
parser.read("setup.cfg")
for line in parser["options"]["install_requires"].split("\n"):
    # Without the Python that it is for: the oldest one needs all of them.
    if line.strip() and line.startswith("django>=") == ("django" in sys.argv):
        print(line.split(";")[0].replace(">=", "==").strip())
PYTHON
}
