# SPDX-License-Identifier: MIT
"""What make install installs can be used as packaging/PACKAGING.md says, and make uninstall takes it away again.
Needs clang, cmake, pkg-config, mandoc, man and systemd-analyze."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess

from harness import run, write_file
from installed import ROOT, Installed, block, files_below, read, shell
from tap import Failed, Programs, check, same

PROGRAMS = {"dps-admin": 1, "dps-conformance": 1, "dps-device": 1, "dps-service": 8}
LIBRARIES = ("tpm-dps-device", "tpm-dps-service", "tpm-dps", "tpm-dps-posix")
LANGUAGES = {"c": (("gcc", "clang"), ("c99", "c11", "c2x")),
             "cpp": (("g++", "clang++"), ("c++11", "c++14", "c++17", "c++20"))}
# A program in C++ with the device's library alone, on a port that provides nothing.
BARE_CPP = """
#include "dps/device/device.h"
#include "port/drive.h"
static int transact(void *, struct bytes, uint8_t *, size_t, size_t *, uint32_t) { return BYTES_E_NOT_PROVIDED; }
static uint64_t now(void *) { return 0; }
static struct dps_device device;
static struct port_drive drive;
int main()
{
    const struct dps_device_config config = {};
    const uint8_t seed[32] = {};
    struct port port = {};
    port.tpm.transact = transact;
    port.clock.unix_seconds = now;
    port.clock.monotonic_ms = now;
    const int error = dps_device_read_ek(&device, &config, seed);
    return error == 0 && port_drive(&drive, &port, nullptr, &device) == BYTES_E_NOT_PROVIDED ? 0 : 1;
}
"""
BARE_CMAKE = """
cmake_minimum_required(VERSION {minimum})
project(bare CXX)
find_package(tpm-dps {version} REQUIRED {components})
add_executable(bare bare.cpp)
target_link_libraries(bare PRIVATE tpm-dps::device)
"""


def shared():
    return Installed()


# ---- Installing and uninstalling -------------------------------------------------------------------------------------

def test_directories(installed):
    """each directory is where its variable says, below DESTDIR, and everything is removed from there again"""
    names = ("bindir", "libdir", "includedir", "pkgconfigdir", "cmakedir", "mandir", "docdir", "bashcompletiondir",
             "fishcompletiondir", "zshcompletiondir", "systemdunitdir", "sysusersdir")
    stage = Programs.directory()
    variables = " ".join([f"DESTDIR={stage}"] + [f"{name}=/at/{name}" for name in names])
    installed.make(f"make install {variables}")
    found = files_below(os.path.join(stage, "at"))
    same(files_below(stage), ["at/" + name for name in found], "what is elsewhere")
    same({name.split("/")[0] for name in found}, set(names), "directories")
    same(len(found), len(files_below(installed.prefix)), "files")
    for name in ("bindir/dps-device", "libdir/libtpm-dps.a", "includedir/tpm-dps/port/port.h",
                 "mandir/man8/dps-service.8", "docdir/OPERATIONS.md", "docdir/PORTING.md"):
        check(name in found, f"no {name}")
    write_file(os.path.join(stage, "at/libdir/other.a"), "")
    installed.make(f"make uninstall {variables}")
    same(files_below(stage), ["at/libdir/other.a"], "left")
    left = {str(p.relative_to(stage)) for p in pathlib.Path(stage).rglob("*tpm-dps*")}
    same(left | {name for name in ("at/cmakedir", "at/docdir") if os.path.exists(os.path.join(stage, name))}, set(),
         "directories of ours")


def test_what_is_others(installed):
    """directories that are there keep their modes; uninstalling removes only ours, and none for being empty"""
    stage = pathlib.Path(Programs.directory())
    kept = {"bin": 0o2775, "share/man/man1": 0o700, "share/doc/tpm-dps/mine": 0o750, "include/tpm-dps/dps/mine": 0o755}
    for name, mode in kept.items():
        (stage / "p" / name).mkdir(parents=True)
        (stage / "p" / name).chmod(mode)
    installed.make(f"make install PREFIX=/p DESTDIR={stage}; make uninstall PREFIX=/p DESTDIR={stage}")
    same({name: oct((stage / "p" / name).stat().st_mode & 0o7777) for name in kept},
         {name: oct(mode) for name, mode in kept.items()}, "modes")
    same(files_below(stage), [], "left")


def test_odd_directories(installed):
    """a directory with which something would go wrong is refused before anything is written"""
    stage = Programs.directory()
    for name, says in (("relative", "not absolute"), ("/a b", "a space"), ("/a&b", "a &"), ("/a|b", "a |"),
                       ("/a$$b", "a $"), ("/a#b", "a #"), ("/a%b", "a %"), ('/a"b', 'a "'), ("/a\\b", "a \\")):
        for target in ("install", "uninstall"):
            try:
                installed.make(f"make {target} DESTDIR={stage}/ docdir='{name}'")
            except Failed as why:
                check(f"cannot be used: it {'is' if 'not' in says else 'has'} {says}" in str(why), why)
            else:
                yield f"{target} docdir={name}"
    same(os.listdir(stage), [], "written")
    installed.make(f"make install PREFIX=/p DESTDIR='{stage}/a b'")
    same(os.listdir(stage), ["a b"], "DESTDIR")


def test_variables(installed):
    """what is given to make on its command line is used, and is not instead of what the source needs itself"""
    own = Programs.directory()
    installed.make(f"make {own}/obj/crypto/der.o {own}/obj/named/port/posix/clock.o BUILD={own} CPPFLAGS=-DANY=1")
    said = installed.make(f"make -n V=1 all packaging BUILD={own} AR=other-ar CC=other-cc CPPFLAGS=-DANY "
                          "LDFLAGS=-other")
    same(re.findall(r"^.*(?:^|&& )(?!other-)\S*(?:cc|ar) .*", said, re.M), [], "commands of other tools")
    check("-DANY" in said and "-other" in said, "flags")


def test_modes(installed):
    """programs can be run, all else can be read by everybody"""
    for path in pathlib.Path(installed.prefix).rglob("*"):
        if not path.is_dir():
            same(oct(path.stat().st_mode & 0o777), oct(0o755 if path.parent.name == "bin" else 0o644), path)


# ---- Headers and libraries -------------------------------------------------------------------------------------------

def compile_alone(compiler, standard, flags, source):
    done = subprocess.run([compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                           *flags, source], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def test_headers(installed):
    """every header compiles alone, as C99, C11, C23 and C++11 to C++20, with gcc and clang"""
    flags = shell("pkg-config --cflags tpm-dps-posix", ROOT, PKG_CONFIG_PATH=installed.path("lib/pkgconfig")).split()
    headers = files_below(installed.path("include/tpm-dps"))
    check(len(headers) > 60, f"only {len(headers)} headers")
    directory = Programs.directory()
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, header in enumerate(headers):
            for suffix, (compilers, standards) in LANGUAGES.items():
                source = os.path.join(directory, f"{number}.{suffix}")
                write_file(source, f'#include "{header}"\nextern int used;\n', 0o644)
                jobs += [(compiler, standard, header, pool.submit(compile_alone, compiler, standard, flags, source))
                         for compiler in compilers for standard in standards]
        for compiler, standard, header, job in jobs:
            if job.result():
                yield f"{compiler} {standard} {header}: {job.result()}"


def test_addresses(installed):
    """a program can take the address of each function, and declare each structure before it includes a header"""
    flags = shell("pkg-config --cflags tpm-dps-posix", ROOT, PKG_CONFIG_PATH=installed.path("lib/pkgconfig")).split()
    headers = files_below(installed.path("include/tpm-dps"))
    declared = "".join(read(installed.path(f"include/tpm-dps/{header}")) for header in headers)
    functions = [name for name in re.findall(r"^function (\w+)", read("packaging/abi.txt"), re.M)
                 if re.search(rf"\b{name}\(", declared)]
    check("port_drive" in functions and len(functions) > 200, f"only {len(functions)} functions")
    lines = [f"struct {name};" for name in re.findall(r"^structure (\w+)", read("packaging/abi.txt"), re.M)]
    lines += [f'#include "{header}"' for header in headers]
    lines += ["typedef void (*any)(void);", "extern const any all[];",
              f"const any all[] = {{{', '.join(f'(any)&{name}' for name in functions)}}};"]
    for suffix, (compilers, standards) in LANGUAGES.items():
        source = os.path.join(Programs.directory(), f"all.{suffix}")
        write_file(source, "\n".join(lines) + "\n", 0o644)
        for compiler in compilers:
            same(compile_alone(compiler, standards[-1], flags, source), "", f"{compiler} {standards[-1]}")


def symbols(archive):
    """What an archive offers, and what it needs besides."""
    lines = [line.split()[-2:] for line in
             run("nm", "--extern-only", archive).out.splitlines() if re.search(r" [A-Zw] \w+$", line)]
    offered = {name for kind, name in lines if kind not in "Uw"}
    return offered, {name for kind, name in lines if kind == "U"} - offered


def test_libraries(installed):
    """device, service and both are each whole: they need BearSSL and string.h, and nothing else"""
    own = re.compile(r"(br_\w+|mem(chr|cmp|cpy|move|set)|str(chr|cmp|len)|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)")
    for name in LIBRARIES[:3]:
        for symbol in sorted(symbols(installed.path(f"lib/lib{name}.a"))[1]):
            if not own.fullmatch(symbol):
                yield f"{name}: {symbol}"


def test_prefix(installed):
    """all that the libraries offer has one prefix, and is in packaging/abi.txt"""
    for name in LIBRARIES:
        listed = re.findall(rf"^(?:function|object) (\w+)(?= .*\b{name}\b(?!-))", read("packaging/abi.txt"), re.M)
        offered = symbols(installed.path(f"lib/lib{name}.a"))[0]
        same([symbol for symbol in offered if not symbol.startswith("dps_")], [], f"{name}: without dps_")
        # Settings follow a name.
        missing = {symbol for symbol in listed for form in (rf"(dps_)?{symbol}(_[a-z]+\d+|_storagedefault)*",)
                   if not any(re.fullmatch(form, other) for other in offered)}
        same(missing, set(), f"{name}: not offered")
        same(len(offered), len(listed), f"{name}: names")


def test_names_are_free(installed):
    """a program may have functions of its own with the names that the libraries have in their source"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    place = installed.place()
    write_file(os.path.join(place, "own.c"), "int bytes_read_u8(void); int bytes_read_u8(void) { return 1; }\n", 0o644)
    shell("cc -o ek ek.c own.c $(pkg-config --cflags --libs tpm-dps-posix) && ./ek libtpms:tpm-state", place, **where)


def test_version(installed):
    """the library says its version, and the headers the same, for programs and for #if"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    place = Programs.directory()
    write_file(os.path.join(place, "version.c"), block("file", "version.c"), 0o644)
    said = shell("cc version.c $(pkg-config --cflags --libs tpm-dps-device) && ./a.out", place, **where)
    same(said, read("VERSION"), "version")


def test_other_settings(installed):
    """a program that was compiled with other settings than the library does not link, and the linker names them"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    place = installed.place()
    write_file(os.path.join(place, "bare.cpp"), BARE_CPP, 0o644)
    for compile_it, setting, says in (
            ("cc ek.c", "", None), ("g++ bare.cpp", "", None),
            ("cc ek.c", "-DDPS_NET_BUFFER=8192", "net8192"), ("g++ bare.cpp", "-DDPS_NET_BUFFER=8192", "net8192"),
            ("cc ek.c", "-DPORT_TLS_BUFFER=20000", "tls20000"),
            ("cc ek.c", "-DCRYPTO_TRUST_STORAGE=5000", "storage5000"),
            ("cc ek.c", "-DDPS_WITH_STEP_TEXTS=0", None)):
        try:
            shell(f"{compile_it} {setting} $(pkg-config --cflags --libs tpm-dps-posix)", place, **where)
        except Failed as why:
            check(says and re.search(rf"undefined reference to `dps_\w*{says}", str(why)), why)
        else:
            same(says, None, f"{compile_it} {setting} linked")


# One file has the structures and looks into them, the other one lets them run.
HAS = """
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "port/drive.h"
struct dps_device device;
struct port_drive drive;
unsigned step(void);
unsigned step(void) { return dps_device_step(&device); }
"""
RUNS = """
#include "dps/device/device.h"
#include "port/drive.h"
extern struct dps_device device;
extern struct port_drive drive;
unsigned step(void);
int main(void)
{
    static struct port port;
    return port_drive(&drive, &port, NULL, &device) + (int)step();
}
"""


def test_two_settings(installed):
    """nor does a program in which two files have different settings, whichever of them is the library's"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    place = Programs.directory()
    write_file(os.path.join(place, "has.c"), HAS, 0o644)
    write_file(os.path.join(place, "runs.c"), RUNS, 0o644)
    small = "-DDPS_NET_BUFFER=2048"
    for one, other, links in (("", "", True), (small, "", False), ("", small, False)):
        try:
            shell("flags=$(pkg-config --cflags tpm-dps-device); "
                  f"cc -O2 -ffunction-sections -fvisibility=hidden $flags {one} -c has.c; cc $flags {other} -c runs.c; "
                  "cc -Wl,--gc-sections has.o runs.o $(pkg-config --libs tpm-dps-device)", place, **where)
        except Failed as why:
            check(not links and re.search(r"undefined reference to `dps_\w*net2048", str(why)), why)
        else:
            check(links, f"has.c {one}, runs.c {other}: linked")


def test_in_shared_library(installed):
    """a library can be part of a shared one, with all that it has"""
    for name in LIBRARIES[:3]:
        shell(f"cc -shared -o all.so -Wl,-z,defs -Wl,--whole-archive {installed.path('lib')}/lib{name}.a "
              "-Wl,--no-whole-archive -lbearssl", Programs.directory())


def test_port_library(installed):
    """the port needs libtpms and a C library besides: all of it links"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    place = Programs.directory()
    write_file(os.path.join(place, "main.c"), "int main(void) { return 0; }\n", 0o644)
    shell("libs=$(pkg-config --libs tpm-dps-posix | "
          "sed 's/-ltpm-dps-posix/-Wl,--whole-archive & -Wl,--no-whole-archive/'); cc main.c $libs && ./a.out",
          place, **where)


def test_sides(installed):
    """the device's library has no service in it, and the service's no device"""
    members = {name: run("ar", "t", installed.path(f"lib/lib{name}.a")).out.split() for name in LIBRARIES}
    check("front_door.o" not in members["tpm-dps-device"] and "drive.o" in members["tpm-dps-device"], "device")
    check("device.o" not in members["tpm-dps-service"] and "front_door.o" in members["tpm-dps-service"], "service")
    missing = (set(members["tpm-dps-device"]) | set(members["tpm-dps-service"])) - set(members["tpm-dps"])
    same(missing, set(), "what both lacks")


# ---- pkg-config and CMake --------------------------------------------------------------------------------------------

def registration_id(tpm_directory):
    tpm = f"libtpms:{tpm_directory}"
    return run(Programs.path("dps-device"), "--quiet", "--tpm", tpm, "ek").field("Registration ID")


def test_pkg_config(installed):
    """the page's program, by pkg-config"""
    place = installed.place()
    said = shell(block("run", "pkg-config"), place, HOME=installed.home)
    same(said.strip(), registration_id(os.path.join(place, "tpm-state")), "registration ID")


def test_pkg_config_moved(installed):
    """pkg-config's files name the version, and directories below their prefix"""
    where = {"PKG_CONFIG_PATH": installed.path("lib/pkgconfig")}
    for name in LIBRARIES:
        same(shell(f"pkg-config --modversion {name}", ROOT, **where).strip(), read("VERSION").strip(), name)
        said = shell(f"pkg-config --define-variable=prefix=/else --cflags --libs {name}", ROOT, **where)
        check("-I/else/include/tpm-dps" in said and "-L/else/lib" in said and installed.prefix not in said, said)


def test_cmake(installed):
    """the page's program, by CMake"""
    place = installed.place()
    said = shell(block("run", "cmake"), place, HOME=installed.home)
    same(said.splitlines()[-1], registration_id(os.path.join(place, "tpm-state")), "registration ID")


def configure(prefix, version="0.9", components="", minimum="3.13"):
    """A build directory of the program in C++."""
    place = Programs.directory()
    write_file(os.path.join(place, "bare.cpp"), BARE_CPP, 0o644)
    write_file(os.path.join(place, "CMakeLists.txt"), BARE_CMAKE.format(minimum=minimum, version=version,
                                                                            components=components), 0o644)
    shell(f"cmake -S . -B out -DCMAKE_PREFIX_PATH={prefix}", place)
    return place


def test_cmake_moved(installed):
    """a program in C++ with the device's library alone, by CMake, from a tree that was moved"""
    moved = os.path.join(Programs.directory(), "moved")
    shutil.copytree(installed.prefix, moved)
    place = configure(moved)
    shell("cmake --build out && out/bare", place)
    check(moved in read(os.path.join(place, "out/CMakeFiles/bare.dir/link.txt")), "another library was linked")


def test_cmake_by_a_link(installed):
    """CMake finds the tree by way of a link to its lib, as /lib is one to /usr/lib"""
    above = Programs.directory()
    shutil.copytree(installed.prefix, os.path.join(above, "usr"))
    os.symlink("usr/lib", os.path.join(above, "lib"))
    shell("cmake --build out && out/bare", configure(above))


def test_cmake_versions(installed):
    """a range that this version is in is met, and the policies of an old project do not matter"""
    for version in ("0.9...0.10", "0.8...1", "0.8...0.9", "0.8...<0.9.1", "0", "0.9.0"):
        configure(installed.prefix, version, minimum="3.19")
    configure(installed.prefix, components="COMPONENTS device posix", minimum="3.0")


def test_cmake_refuses(installed):
    """CMake is told when a version or a component is not there"""
    for version, components, says in (("0.8", "", "version"), ("0.10", "", "version"), ("1.0", "", "version"),
                                      ("0.5...0.8", "", "version"), ("0.8...<0.9", "", "version"),
                                      ("0.9", "COMPONENTS sensor", "no component sensor")):
        try:
            configure(installed.prefix, version, components)
        except Failed as why:
            check(says in str(why), why)
        else:
            yield f"{version} {components} was found"


# ---- Pages, the unit -------------------------------------------------------------------------------------------------

def helps(program):
    """The --help of a program and of its commands."""
    whole = run(Programs.path(program), "--help").out
    yield whole
    listed = re.search(r"Commands, each with its own --help:\n((?:  .*\n)+)", whole)
    for command in re.findall(r"^  ([a-z][a-z-]*) ", listed.group(1) if listed else "", re.M):
        yield run(Programs.path(program), command, "--help").out


def words(text):
    """However the lines are broken."""
    return re.sub(r"\s+", " ", text)


def test_manuals(installed):
    """manual pages that mandoc has nothing to say about, with every option of --help and its words, and no other"""
    manpath = {**os.environ, "MANPATH": installed.path("share/man")}  # where references have to lead
    for name in PROGRAMS:
        page = installed.path(f"share/man/man{PROGRAMS[name]}", f"{name}.{PROGRAMS[name]}")
        run("mandoc", "-T", "lint", "-W", "style", page, env=manpath)
        shown = words(re.sub(r".\x08", "", run("mandoc", "-T", "utf8", "-O", "width=1000", page).out))
        texts = list(helps(name))
        option = r"(?<![\w-])--[a-z][a-z0-9-]*"
        same(set(re.findall(option, shown)), set(re.findall(option, "".join(texts))), f"{name}: options")
        for text in texts:
            for option in re.findall(r"^  (--\S+)", text, re.M):
                check(option in shown, f"{name}: no {option}")
            for line in re.findall(r"^ {30}(.*)$", text, re.M):
                check(words(line.strip()) in shown, f"{name}: no {line.strip()!r}")


def test_unit(installed):
    """systemd takes the unit as it is: its program and its manual page exist"""
    unit = installed.path("lib/systemd/system/dps-service.service")
    done = subprocess.run(["systemd-analyze", "verify", "--man=yes", unit], capture_output=True, text=True, check=False,
                          env={**os.environ, "MANPATH": installed.path("share/man")})
    same((done.returncode, done.stderr), (0, ""), "systemd-analyze verify")
    check(f"ExecStart={installed.path('bin/dps-service')} " in read(unit), "the program's path")


def test_user(installed):
    """systemd-sysusers makes the unit's user"""
    unit, root = read(installed.path("lib/systemd/system/dps-service.service")), Programs.directory()
    os.mkdir(os.path.join(root, "etc"))
    run("systemd-sysusers", f"--root={root}", installed.path("lib/sysusers.d/dps-service.conf"))
    user = re.search(r"^User=(.*)$", unit, re.M).group(1)
    check(re.search(rf"^{user}:", read(os.path.join(root, "etc/passwd")), re.M), read(os.path.join(root, "etc/passwd")))


def test_links(installed):
    """no link of an installed page leads nowhere"""
    directory = installed.path("share/doc/tpm-dps")
    for name in os.listdir(directory):
        if name.endswith(".md"):
            for target in re.findall(r"\]\(([^)#]+)", read(os.path.join(directory, name))):
                if "://" not in target and not os.path.exists(os.path.join(directory, target)):
                    yield f"{name}: {target}"


def test_uninstall(installed):
    """make uninstall leaves no file of the page's installation"""
    installed.make(f"make uninstall PREFIX={installed.prefix}")
    same(files_below(installed.prefix), [], "left")
