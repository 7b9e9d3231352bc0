#!/bin/sh
# A first look at the sample, of the kind that is named: marimo, jupyter or none, which is a script that prints.
# A notebook is opened in the browser, or with CHECK=1 run from its first cell to its last, without one.
set -eu
# shellcheck source=develop/prelude.sh
. "$(dirname "$0")/prelude.sh"
cd "$(dirname "$0")/.."
kind=$1
venv=${UV_PROJECT_ENVIRONMENT:-.venv}
script=explore/first_look.py
notebook=explore/first_look.ipynb
again="sh develop/uv.sh tool run"
theirs="and then you replace what is shown by"

fail() {
    echo "explore: $*" >&2
    exit 1
}

# What is there, which may be of an earlier answer: an update writes nothing of explore/ but its settings.
found=
if [ -f $notebook ] && { [ "$kind" = jupyter ] || [ ! -f $script ]; }; then
    found=jupyter
elif [ -f $script ]; then
    found=none
    ! grep -q '^app = marimo\.App(' $script || found=marimo
fi

case $found-$kind in
none-none) exec "$venv/bin/python" $script ;;
marimo-marimo)
    [ -n "${CHECK:-}" ] || exec "$venv/bin/marimo" --log-level=ERROR edit --skip-update-check $script
    "$venv/bin/python" $script
    echo "explore: $script runs to its end"
    ;;
jupyter-jupyter)
    if [ -z "${CHECK:-}" ]; then # of its log, errors and the address are what a person needs
        set -- --log-level=ERROR --LabApp.log_level=ERROR "--LabApp.default_url=/lab/tree/$notebook"
        saved=$(sed -n 's/^name = "\(.*\)"$/\1/p' pyproject.toml | head -n 1 | tr - _).ops.notebooks.saved
        exec "$venv/bin/jupyter" lab --allow-root "$@" "--FileContentsManager.post_save_hook=$saved"
    fi
    said=$("$venv/bin/jupyter" execute $notebook 2>&1) || {
        printf '%s\n' "$said" | grep '^error: ' >&2 || printf '%s\n' "${said#*CellExecutionError: }" >&2
        exit 1
    }
    echo "explore: $notebook runs to its end"
    ;;
none-marimo) fail "$script is no notebook of marimo's; this makes it one: $venv/bin/marimo convert $script -o $script" ;;
none-jupyter) fail "no $notebook here; this makes it of $script: $again jupytext --to ipynb $script" ;;
marimo-jupyter) fail "no $notebook here; this makes it of $script, $theirs mo.: $again --with nbformat marimo export ipynb $script -o $notebook" ;;
marimo-none) fail "$script is a notebook of marimo's; this makes it a script, $theirs mo.: $again marimo export script $script -o $script" ;;
jupyter-marimo) fail "no $script here; this makes it of $notebook, $theirs IPython: $venv/bin/marimo convert $notebook -o $script" ;;
jupyter-none) fail "no $script here; this makes it of $notebook, $theirs IPython: $again jupytext --to py $notebook" ;;
-jupyter) fail "no $notebook here" ;;
*) fail "no $script here" ;;
esac
