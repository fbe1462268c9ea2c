# SPDX-License-Identifier: MIT
"""debian/ makes packages that lintian takes, and that can be installed, used and removed in a Debian that has nothing
else. Needs debhelper, lintian and mmdebstrap; root, or a kernel that lets users have namespaces."""
import glob
import os
import re

from harness import run
from installed import ROOT, block, read, shell, write_files
from tap import Programs, check, note, same

PACKAGES = ("libtpm-dps-dev", "tpm-dps", "tpm-dps-service")
# Runs in the new system, in a directory with the packages and the page's program.
INSIDE = r"""
export DEBIAN_FRONTEND=noninteractive
apt-get -qq --no-install-recommends install systemd-standalone-sysusers ./*.deb >/dev/null
for program in dps-device dps-admin dps-service dps-conformance; do
    $program --version
    dpkg -S /usr/share/man/man?/$program.*
done
id -u dps-service >/dev/null
dps-device --quiet --tpm libtpms:tpm-state ek | grep 'Registration ID'

# The libraries name what they need: nothing but a compiler is added here.
apt-get -qq --no-install-recommends install gcc libc6-dev pkgconf libtpms-dev >/dev/null
cc -o ek ek.c $(pkg-config --cflags --libs tpm-dps-posix)
echo "from the library  $(./ek libtpms:tpm-state)"

dpkg -L PACKAGES | sort -u >files
apt-get -qq purge PACKAGES >/dev/null
while read -r file; do
    [ ! -f "$file" ] || echo "left: $file"
done <files
find / -xdev -path '*dps*' ! -path "$PWD*" ! -path '/proc/*' ! -path '/sys/*' | sed 's/^/left: /'
""".replace("PACKAGES", " ".join(PACKAGES))


class Built:
    """The page's packages."""

    def __init__(self):
        self.tree = Programs.directory()
        made = f"{self.tree}/dist"
        shell(f"make dist BUILD={made} && tar -xzf {made}/*.tar.gz -C {self.tree} --strip-components=1", ROOT)
        shell(block("run", "debian"), self.tree, DEB_BUILD_OPTIONS="parallel=2")

    def path(self, pattern):
        return glob.glob(os.path.join(self.tree, "build/debian", pattern))


def shared():
    return Built()


def test_lintian(built):
    """lintian has no error and no warning, about the source and about the packages"""
    changes, = built.path("*.changes")
    said = run("lintian", "--allow-root", "--fail-on", "error,warning", changes, status=None)
    same((said.code, said.out), (0, ""), "lintian")
    for line in read(os.path.join(ROOT, "debian/source/lintian-overrides")).splitlines():
        note(f"overridden: {line}")


def test_packages(built):
    """each file is in one package; version and dependencies are right"""
    owner = {}
    for name in PACKAGES:
        package, = built.path(f"{name}_*.deb")
        for line in run("dpkg-deb", "--contents", package).out.splitlines():
            path = line.split()[5]
            if not path.endswith("/"):
                check(path not in owner, f"{path} is in {name} and in {owner.get(path)}")
                owner[path] = name
        fields = dict(re.findall(r"^(\w+): (.*)$", run("dpkg-deb", "--field", package).out, re.M))
        same(fields["Version"].split("-")[0], read("VERSION").strip(), name)
        check("libbearssl" in fields["Depends"], f"{name}: {fields['Depends']}")
    same(sorted(name for path, name in owner.items() if path.startswith("./usr/bin/")),
         ["tpm-dps", "tpm-dps", "tpm-dps", "tpm-dps-service"], "programs")


def mirrors():
    """This machine's sources of Debian's own packages, a line each; and the release."""
    lines = run("apt-get", "indextargets", "--format", "deb $(REPO_URI) $(CODENAME) $(COMPONENT)",
                "Created-By: Packages", "Origin: Debian").out.splitlines()
    release = re.search(r"^VERSION_CODENAME=(\w+)$", read("/etc/os-release"), re.M).group(1)
    return sorted({line for line in lines if line.split()[2].startswith(release)}), release


def test_clean_system(built):
    """in a Debian that was just made: installed, run, compiled with, and purged without a trace"""
    place = Programs.directory()
    write_files(place, "ek.c")
    for name in PACKAGES:
        run("cp", *built.path(f"{name}_*.deb"), place)
    with open(os.path.join(place, "inside"), "w", encoding="utf-8") as f:
        f.write(INSIDE)
    sources, release = mirrors()
    check(sources, "apt knows no source of Debian's packages; apt-get update?")
    script = (f'mkdir "$1/root/test" && cp {place}/* "$1/root/test" && '
              f'chroot "$1" sh -ec "cd /root/test && . ./inside" >{place}/said')
    run("mmdebstrap", "--quiet", "--variant=apt", "--aptopt=Acquire::Languages \"none\"",
        f"--customize-hook={script}", "--format=null", release, "-", *sources)
    said = read(os.path.join(place, "said"))
    lines = said.splitlines()
    same([line for line in lines if line.startswith("left:")], [], "left after the purge")
    version = read("VERSION").strip()
    for program in ("dps-device", "dps-admin", "dps-service", "dps-conformance"):
        check(f"{program} {version}" in lines, f"{program}: {said}")
    ids = re.findall(r"^(?:Registration ID|from the library) +(\w+)$", said, re.M)
    check(len(ids) == 2 and ids[0] == ids[1], f"registration IDs: {ids}\n{said}")
