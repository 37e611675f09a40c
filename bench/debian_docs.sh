#!/usr/bin/env bash
# Debian's own documentation into a folder, from its packages: bench/debian_docs.sh FOLDER
set -euo pipefail
folder=$(realpath -m "${1:?the folder to make}")
packages=(apt-doc debian-policy debian-faq developers-reference debian-reference-en debian-handbook
  debian-kernel-handbook maint-guide aptitude-doc-en git-doc exim4-doc-html postgresql-doc-15 bash-doc dpkg-dev)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq "${packages[@]}"
for package in *.deb; do
  dpkg-deb --extract "$package" root
done
# Some links lead out of the packages; what they would show is no documentation.
copy() { # where to, below the folder; what
  cp -rL "${@:2}" "$folder/$1" 2>/dev/null || true
}
mkdir -p "$folder/debian-handbook" "$folder/aptitude"
cd root/usr/share
copy . debian-reference developers-reference
cd doc
copy . apt-doc debian-policy debian debian-kernel-handbook maint-guide dpkg git-doc exim4-doc-html postgresql-doc-15 bash
copy debian-handbook debian-handbook/html/en-US
copy aptitude aptitude/html/en
find "$folder" -type f | wc -l
