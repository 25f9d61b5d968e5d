# Sourced by scripts of many long commands. What exists is not made again, so an interrupted run continues.
#
#   logs=FOLDER               where the output of the commands goes; set before the first stage
#   say TEXT…                 a line with the seconds since the start
#   stage RESULT COMMAND…     runs COMMAND unless RESULT exists; a failure ends the script with the last lines of its output
#   log_of RESULT             the file with the output
begin=$(date +%s)
say() { echo "[$(($(date +%s) - begin)) s] $*"; }
log_of() { echo "$logs/$(echo "$1" | tr / -).log"; }
stage() {
  local result=$1 log
  shift
  [ -e "$result" ] && return
  log=$(log_of "$result")
  mkdir -p "$logs" "$(dirname "$result")"
  say "$*"
  "$@" > "$log" 2>&1 || { say "FAILED: $*" >&2; tail -3 "$log" >&2; exit 1; }
}
