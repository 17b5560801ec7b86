"""A script that teaches bash what can be typed after `make` in this checkout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Bash takes EXPERIMENT=fan for three words, since "=" breaks words, and calls the function with the last of them.
SCRIPT = """\
_loadtests() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} name=
  if [ "$word" = = ]; then name=$before word=; elif [ "$before" = = ]; then name=${{COMP_WORDS[COMP_CWORD-2]}}; fi
  case $name in
{values}
    "") COMPREPLY=($(compgen -W '{words}' -- "$word")); [[ ${{COMPREPLY-}} == *= ]] && compopt -o nospace ;;
  esac
}}
_loadtests_make() {{
  if grep -qs 'loadtests run' Makefile; then _loadtests
  elif declare -F _make >/dev/null; then _make "$@"
  fi
}}
complete -o default -F _loadtests_make make
"""
CASE = "    {name}) COMPREPLY=($(compgen -W '{known}' -- \"$word\")) ;;"


def script(targets: Iterable[str], variables: Iterable[str], values: Mapping[str, Iterable[str]]) -> str:
    """Return the script. `values`: what a variable may be set to, where that is a list."""
    cases = (CASE.format(name=name, known=" ".join(known)) for name, known in values.items())
    words = " ".join((*targets, *(f"{name}=" for name in variables)))
    return SCRIPT.format(values="\n".join(cases), words=words)
