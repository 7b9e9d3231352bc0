#!/bin/sh
# Instead of grype, whose image and whose database cannot be had here: knows one package that is vulnerable.
[ "$*" = "dir:/ --only-fixed --fail-on high" ] || {
    echo "grype: called with $*" >&2
    exit 1
}
found=$(find / -xdev -name 'vulnerable-*.dist-info' 2>/dev/null)
[ -z "$found" ] || {
    echo "vulnerable  0.1  0.2  python  GHSA-0000  High  $found"
    exit 2
}
echo "No vulnerabilities found"
