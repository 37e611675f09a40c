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
mkdir -p "$folder/debian-handbook" "$folder/aptitude"
cp -rL root/usr/share/{debian-reference,developers-reference} "$folder"
cd root/usr/share/doc
cp -rL apt-doc debian-policy debian debian-kernel-handbook maint-guide dpkg git-doc exim4-doc-html \
  postgresql-doc-15 bash "$folder" 2>/dev/null || true # some links lead out of the packages
cp -rL debian-handbook/html/en-US "$folder/debian-handbook"
cp -rL aptitude/html/en "$folder/aptitude"
find "$folder" -type f | wc -l
