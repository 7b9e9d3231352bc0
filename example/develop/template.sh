# Sourced: where this project's template is, which is `_src_path` in .copier-answers.yml.
# shellcheck shell=sh
answers=.copier-answers.yml

# What stands in the answers file, by its key.
answer() {
    sed -n "s/^$1: *//p" $answers 2>/dev/null |
        sed -e "s/^'\(.*\)'\$/\1/" -e 't quoted' -e 's/^"\(.*\)"$/\1/' -e b -e ':quoted' -e "s/''/'/g"
}

# An address or a folder, so that Copier sees which it is, from anywhere.
written() {
    case $1 in
    gh:* | gl:* | git+* | git@* | git://* | https://github.com/* | https://gitlab.com/* | *://*.git | *@*:*.git) echo "$1" ;;
    *://* | *@*:*) echo "git+$1" ;;
    *) (cd "$1" 2>/dev/null && pwd -P) || echo "$1" ;;
    esac
}

# Where others than this machine's find the template that was copied from a folder, by its name in the answers file: its
# git remote, once this project's release is there, without a name and a password in its address. A name that counts
# from where it was copied, most likely the folder above, becomes one that does from anywhere.
place() {
    release=$(answer _commit) folder=$1
    [ -z "$1" ] || [ "${1#/}" != "$1" ] || folder=../$1
    [ "$(git -C "$folder" rev-parse --show-toplevel 2>/dev/null)" = "$(written "$folder")" ] || return 1
    git -C "$folder" rev-parse --quiet --verify "$release^{commit}" >/dev/null || return 1
    remote=$(git -C "$folder" remote | awk '$1 == "origin" || !first { first = $1 } END { print first }')
    address=$(git -C "$folder" config --get "remote.$remote.url" | sed 's|^\(https\{0,1\}://\)[^/]*@|\1|')
    case $address in
    file://*) ;;
    *://* | *@*:*)
        if [ -n "$(git -C "$folder" for-each-ref --count=1 --contains "$release" "refs/remotes/$remote")" ]; then
            folder=$address
        fi
        ;;
    esac
    written "$folder"
}

# Lets the answers file say that the template is there.
follow() {
    awk -v "address=$1" '/^_src_path:/ { print "_src_path: " address; next } { print }' $answers >$answers.new
    cat $answers.new >$answers
    rm $answers.new
}
