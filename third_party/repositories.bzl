"""What coaio needs from elsewhere, for builds that use WORKSPACE."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load(":debian.bzl", "debian_or_upstream", "debian_rules", "no_coverage_tools")

# The upstream labels that Debian's abseil answers to. All of them are one library: its archives are
# merged, and a program links only the objects that it uses.
_ABSL = {
    "algorithm": ["algorithm", "container"],
    "base": ["base", "config", "core_headers", "dynamic_annotations", "endian", "log_severity"],
    "cleanup": ["cleanup"],
    "container": ["btree", "fixed_array", "flat_hash_map", "flat_hash_set", "inlined_vector", "node_hash_map", "node_hash_set"],
    "debugging": ["failure_signal_handler", "leak_check", "stacktrace", "symbolize"],
    "flags": ["commandlineflag", "config", "flag", "marshalling", "parse", "reflection", "usage"],
    "functional": ["any_invocable", "bind_front", "function_ref"],
    "hash": ["hash"],
    "memory": ["memory"],
    "meta": ["type_traits"],
    "numeric": ["bits", "int128"],
    "random": ["bit_gen_ref", "distributions", "random", "seed_sequences"],
    "status": ["status", "statusor"],
    "strings": ["cord", "str_format", "strings"],
    "synchronization": ["synchronization"],
    "time": ["time"],
    "types": ["any", "optional", "span", "variant"],
    "utility": ["utility"],
}

_LIBRARY = """
load("@rules_cc//cc:defs.bzl", "cc_library")

cc_library(
    name = "{name}",
    srcs = {srcs},
    visibility = ["//visibility:public"],
)
"""

_ALIAS = """
alias(
    name = "{name}",
    actual = "//:absl",
    visibility = ["//visibility:public"],
)
"""

def _absl_build_files():
    files = {"BUILD": _LIBRARY.format(name = "absl", srcs = ["libabsl.a"])}
    for package, names in _ABSL.items():
        files["absl/{}/BUILD".format(package)] = "".join([_ALIAS.format(name = n) for n in names])
    return files

def coaio_dependencies():
    """Defines what coaio uses, except what the workspace has defined before: a user's own comes first."""

    # Archives and checksums are those of the Bazel Central Registry. coaio is developed without
    # internet: building from exactly these archives was tried, downloading them was not.
    maybe(
        debian_or_upstream,
        name = "com_google_absl",
        marker = "/usr/include/absl/base/config.h",
        archives = {"libabsl.a": "libabsl_*.a"},
        build_files = _absl_build_files(),
        url = "https://github.com/abseil/abseil-cpp/releases/download/20240722.0/abseil-cpp-20240722.0.tar.gz",
        integrity = "sha256-9Q5awxGoE4Laf6dblzEOS5AGR0+VYKxG9UqZZ/B9SuM=",
        strip_prefix = "abseil-cpp-20240722.0",
    )
    maybe(
        debian_or_upstream,
        name = "doctest",
        marker = "/usr/include/doctest/doctest.h",
        build_files = {"doctest/BUILD": _LIBRARY.format(name = "doctest", srcs = [])},
        url = "https://github.com/doctest/doctest/archive/refs/tags/v2.4.11.tar.gz",
        integrity = "sha256-Yy7SwFp/U/qWE4FJe/gGkJPw1mKMXyYoYWH70ypWAYY=",
        strip_prefix = "doctest-2.4.11",
    )
    maybe(
        debian_or_upstream,
        name = "liburing",
        marker = "/usr/include/liburing.h",
        archives = {"liburing.a": "liburing.a"},
        build_files = {"BUILD": _LIBRARY.format(name = "liburing", srcs = ["liburing.a"])},
        url = "https://github.com/axboe/liburing/archive/refs/tags/liburing-2.5.tar.gz",
        integrity = "sha256-RW9fiCFlYw8Nx7dej9U70BqVXV1HIHKbQyMJfm6fKpg=",
        strip_prefix = "liburing-liburing-2.5",
        upstream_build_file = Label("//third_party:liburing.BUILD"),
    )
    if native.bazel_version:
        maybe(
            http_archive,
            name = "bazel_skylib",
            url = "https://github.com/bazelbuild/bazel-skylib/releases/download/1.4.1/bazel-skylib-1.4.1.tar.gz",
            sha256 = "b8a1527901774180afc798aeb28c4634bdccf19c4d98e7bdd1ce79d1fe9aaad7",
        )
    else:
        _debian_bazel_rules()

# What other builds of Bazel fetch by themselves, Debian packages. Only Debian's has no version.
def _debian_bazel_rules():
    maybe(no_coverage_tools, name = "remote_coverage_tools")
    maybe(debian_rules, name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    maybe(debian_rules, name = "platforms", path = "/usr/share/bazel/tools/platforms")
    maybe(debian_rules, name = "rules_java", path = "/usr/share/bazel/rules/java")
    maybe(debian_rules, name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    maybe(
        debian_rules,
        name = "rules_cc",
        path = "/usr/share/bazel/rules/cc",
        without_use_cpp_toolchain = [
            "cc/private/rules_impl/cc_flags_supplier.bzl",
            "cc/private/rules_impl/compiler_flag.bzl",
        ],
    )
