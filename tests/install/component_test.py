# SPDX-License-Identifier: MIT
"""packaging/component: tpm-dps.c and BearSSL as a component of ESP-IDF, a module of Zephyr, and a folder of a CMake
project. ESP-IDF and Zephyr are not here: their commands are played by those below, which refuse what they do not know.
Needs cmake, and BearSSL's source as make check-install has it."""
import os
import re

from harness import write_file
from installed import ROOT, block, read, shell
from tap import Programs, check, same

MAIN = """
#include "tpm-dps.h"
static struct dps_device device;
static struct port_drive drive;
int main(int argc, char **argv)
{
    static struct port port;
    (void)argv;
    return argc > 1 ? port_drive(&drive, &port, NULL, &device) : strcmp(dps_version(), TPM_DPS_VERSION);
}
"""
HEAD = """
cmake_minimum_required(VERSION 3.16)
project(app C)
add_executable(app main.c)
target_link_libraries(app PRIVATE tpm-dps)
"""
# Documented at docs.espressif.com, "Build System".
ESP_IDF = HEAD + """
set(ESP_PLATFORM 1)
macro(idf_component_register)
    cmake_parse_arguments(arg "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES" ${ARGN})
    if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
        message(FATAL_ERROR "${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES}")
    endif()
    set(COMPONENT_LIB tpm-dps)
    add_library(tpm-dps STATIC ${arg_SRCS})
    target_include_directories(tpm-dps PUBLIC ${arg_INCLUDE_DIRS} PRIVATE ${arg_PRIV_INCLUDE_DIRS})
endmacro()
add_subdirectory(tpm-dps)
"""
# Documented at docs.zephyrproject.org, "extensions".
ZEPHYR = HEAD + """
set(ZEPHYR_BASE /zephyr)
set(CONFIG_TPM_DPS y)
add_library(zephyr_interface INTERFACE)
macro(zephyr_library_named name)
    set(ZEPHYR_CURRENT_LIBRARY ${name})
    add_library(${name} STATIC)
    target_link_libraries(${name} PUBLIC zephyr_interface)
endmacro()
function(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_compile_definitions)
    target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_include_directories)
    target_include_directories(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_include_directories)
    target_include_directories(zephyr_interface INTERFACE ${ARGN})
endfunction()
add_subdirectory(tpm-dps)
"""


class Component:
    """The directory that the page makes."""

    def __init__(self):
        self.home = Programs.directory()
        bearssl = os.path.abspath(Programs.path("bearssl/src"))
        for _ in range(2):  # as for a new version: nothing of it may be put into a folder more
            shell(block("run", "component"), ROOT, HOME=self.home, BEARSSL=bearssl)

    def file(self, name):
        return read(os.path.join(self.home, "components/tpm-dps", name))

    def build(self, cmake):
        place = Programs.directory()
        os.symlink(os.path.join(self.home, "components/tpm-dps"), os.path.join(place, "tpm-dps"))
        write_file(os.path.join(place, "main.c"), MAIN, 0o644)
        write_file(os.path.join(place, "CMakeLists.txt"), cmake, 0o644)
        return shell("cmake -S . -B out && cmake --build out --parallel 2 && out/app", place)


def shared():
    return Component()


def test_cmake(component):
    """a folder of a CMake project"""
    same(sorted(os.listdir(os.path.join(component.home, "components/tpm-dps"))),
         ["BearSSL", "CMakeLists.txt", "Kconfig", "tpm-dps.c", "tpm-dps.h", "zephyr"], "files")
    component.build(HEAD + "add_subdirectory(tpm-dps)\n")


def test_esp_idf(component):
    """a component of ESP-IDF, as far as its documentation goes"""
    component.build(ESP_IDF)


def test_zephyr(component):
    """a module of Zephyr, likewise; its Kconfig has the option that switches it on"""
    component.build(ZEPHYR)
    same(re.findall(r"^ *(\w+):(?: (\S+))?$", component.file("zephyr/module.yml"), re.M),
         [("name", "tpm-dps"), ("build", ""), ("cmake", "."), ("kconfig", "Kconfig")], "module.yml")
    same(re.findall(r"^config (\w+)\n\tbool \".+\"$", component.file("Kconfig"), re.M), ["TPM_DPS"], "Kconfig")
    check("if(CONFIG_TPM_DPS)" in component.file("CMakeLists.txt"), "CMakeLists.txt")
