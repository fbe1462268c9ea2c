# SPDX-License-Identifier: MIT
"""make dist: the same bytes wherever they are made, and a source that builds. Needs git."""
import hashlib
import os
import tarfile

from harness import run
from installed import ROOT, block, read, shell
from tap import Programs, check, same

VERSION = read("VERSION").strip()
NAME = f"tpm-dps-{VERSION}"


def archive(tree):
    return os.path.join(tree, "build", NAME + ".tar.gz")


def digest(tree):
    with open(archive(tree), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Dist:
    """A clone with the page's archive, made and unpacked there."""

    def __init__(self):
        self.clone = os.path.join(Programs.directory(), "clone")
        # What is committed, or in an unpacked archive, where there is no git, its own files.
        if os.path.exists(os.path.join(ROOT, "MANIFEST")):
            shell(f"make dist BUILD={self.clone}/build && tar -xzf {archive(self.clone)} -C {self.clone} "
                  "--strip-components=1", ROOT)
        else:
            run("git", "clone", "-q", ROOT, self.clone)
        shell(block("run", "dist"), self.clone)
        self.unpacked = os.path.join(self.clone, NAME)


def shared():
    return Dist()


def test_page(_dist):
    """the page names this version"""
    check(NAME + ".tar.gz" in block("run", "dist"), "the page's block make dist")
    check(f"{NAME.replace('-' + VERSION, '_' + VERSION)}.orig.tar.gz" in block("run", "debian"), "its block debian")


def test_same_bytes(dist):
    """the same bytes again: in another directory, under another umask, zone and language, and from the archive"""
    other = os.path.join(Programs.directory(), "another-directory")
    run("cp", "-r", dist.clone, other)
    shell("umask 077; chmod -R go= .; make dist", other, TZ="Pacific/Auckland", LC_ALL="C.UTF-8")
    shell("make dist", dist.unpacked)
    same({digest(tree) for tree in (other, dist.unpacked)}, {digest(dist.clone)}, "digests")


def test_content(dist):
    """every file of the source is in it, and nothing of this machine: names, times, what was built"""
    with tarfile.open(archive(dist.clone)) as tar:
        members = tar.getmembers()
    same({(m.uid, m.gid, m.uname, m.gname) for m in members}, {(0, 0, "", "")}, "owners")
    same(len({m.mtime for m in members}), 1, "times")
    same({oct(m.mode) for m in members}, {"0o644", "0o755"}, "modes")
    listed = read(os.path.join(dist.unpacked, "MANIFEST")).splitlines()[1:]
    same({m.name for m in members}, {f"{NAME}/{name}" for name in listed + ["MANIFEST"]}, "files")
    if os.path.exists(os.path.join(dist.clone, ".git")):
        same(listed, run("git", "ls-files", cwd=dist.clone).out.splitlines(), "MANIFEST")


def test_without_git(dist):
    """neither a repository nor an archive: make dist says so"""
    other = os.path.join(Programs.directory(), "export")
    run("cp", "-r", dist.unpacked, other)
    os.unlink(os.path.join(other, "MANIFEST"))
    result = run("make", "dist", cwd=other, status=2)
    check("neither a git repository nor an unpacked make dist" in result.err, result.err)


def in_git(dist):
    """A repository with the archive's files, whether or not this is one."""
    tree = os.path.join(Programs.directory(), "repository")
    run("cp", "-r", dist.unpacked, tree)
    os.unlink(os.path.join(tree, "MANIFEST"))
    shell("rm -rf build; git init -q; git add .; "
          "git -c user.name=a -c user.email=a@dps.example commit -q -m one --date=@1000000000", tree,
          GIT_COMMITTER_DATE="@1000000000")
    return tree


def epoch(tree):
    return int(run("packaging/epoch.sh", cwd=tree).out)


def test_changed_tree(dist):
    """make dist says that files were changed since the commit, and is silent about files that git does not know"""
    tree = in_git(dist)
    with open(os.path.join(tree, "notes.txt"), "w", encoding="utf-8") as f:
        f.write("mine\n")
    same(run("make", "-s", "dist", cwd=tree).err, "", "of a tree as it was committed")
    with open(os.path.join(tree, "README.md"), "a", encoding="utf-8") as f:
        f.write("more\n")
    said = run("make", "-s", "dist", cwd=tree).err
    check("not the last commit" in said, said)


def test_date(dist):
    """the source's date is the commit's, whoever owns the tree; never that of another repository around it, nor 1970"""
    tree = in_git(dist)
    same(epoch(tree), 1000000000, "a repository")
    if os.getuid() == 0:
        run("chown", "-R", "nobody", tree)
        same(epoch(tree), 1000000000, "somebody else's repository")
        run("make", "-s", "dist", cwd=tree)
    inner = os.path.join(tree, "inner")
    run("cp", "-r", dist.unpacked, inner)
    os.unlink(os.path.join(inner, "MANIFEST"))
    os.utime(os.path.join(inner, "VERSION"), (1111111111, 1111111111))
    same(epoch(inner), 1111111111, "a folder in a repository")
    run("rm", "-rf", os.path.join(tree, ".git"))
    same(epoch(inner), 1111111111, "no repository")


def test_builds(dist):
    """make all, in the unpacked archive, where there is no git"""
    shell("make -j2 all", dist.unpacked)
    same(run(os.path.join(dist.unpacked, "build/dps-device"), "--version").out, f"dps-device {VERSION}\n", "version")
