#!/usr/bin/env bash
# Builds etcd, kube-apiserver, kube-controller-manager and kubectl from the Go modules pinned here into the folder
# named. Needs Go and no root; what is built already is left as it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)
export CGO_ENABLED=0

build() { # folder package flags program
    if [ -x "$bin/$4" ]; then return; fi
    echo "building $2"
    (cd "$here/$1" && go build -mod=readonly -trimpath -ldflags "$3" -o "$bin/$4" "$2")
}

version=$(cd "$here/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
for command in kube-apiserver kube-controller-manager kubectl; do
    build kubernetes "k8s.io/kubernetes/cmd/$command" "$flags" "$command"
done
build etcd go.etcd.io/etcd/server/v3 '-s -w' etcd
