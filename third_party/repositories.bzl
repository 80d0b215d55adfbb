"""What coaio needs from elsewhere, for builds that use WORKSPACE."""

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

def _maybe(rule, name, **kwargs):
    # Whoever defines a repository first supplies it: a user's own comes before coaio's.
    if not native.existing_rule(name):
        rule(name = name, **kwargs)

def coaio_dependencies():
    """Defines each repository that coaio uses and that the workspace does not define itself."""

    # The downloads are those of the Bazel Central Registry. They were not tried: coaio is developed
    # on machines that have the Debian packages and no internet.
    _maybe(
        debian_or_upstream,
        name = "com_google_absl",
        marker = "/usr/include/absl/base/config.h",
        archives = {"libabsl.a": "libabsl_*.a"},
        build_files = _absl_build_files(),
        url = "https://github.com/abseil/abseil-cpp/archive/refs/tags/20220623.1.tar.gz",
        integrity = "sha256-kayH0wzG15+auXTFGHSnBN6cJkfED2kyWXMpooIhe6g=",
        strip_prefix = "abseil-cpp-20220623.1",
    )
    _maybe(
        debian_or_upstream,
        name = "doctest",
        marker = "/usr/include/doctest/doctest.h",
        build_files = {"doctest/BUILD": _LIBRARY.format(name = "doctest", srcs = [])},
        url = "https://github.com/doctest/doctest/archive/refs/tags/v2.4.11.tar.gz",
        integrity = "sha256-Yy7SwFp/U/qWE4FJe/gGkJPw1mKMXyYoYWH70ypWAYY=",
        strip_prefix = "doctest-2.4.11",
    )
    _maybe(
        debian_or_upstream,
        name = "liburing",
        marker = "/usr/include/liburing.h",
        archives = {"liburing.a": "liburing.a"},
        build_files = {"BUILD": _LIBRARY.format(name = "liburing", srcs = ["liburing.a"])},
        url = "https://github.com/axboe/liburing/archive/refs/tags/liburing-2.5.tar.gz",
        integrity = "sha256-RW9fiCFlYw8Nx7dej9U70BqVXV1HIHKbQyMJfm6fKpg=",
        strip_prefix = "liburing-liburing-2.5",
        upstream_build_file = "//third_party:liburing.BUILD",
    )
    if not native.bazel_version:
        # Only Debian's own build of Bazel has no version. It needs Debian's rules.
        _debian_bazel_rules()

def _debian_bazel_rules():
    _maybe(no_coverage_tools, name = "remote_coverage_tools")
    _maybe(debian_rules, name = "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    _maybe(debian_rules, name = "platforms", path = "/usr/share/bazel/tools/platforms")
    _maybe(debian_rules, name = "rules_java", path = "/usr/share/bazel/rules/java")
    _maybe(debian_rules, name = "rules_proto", path = "/usr/share/bazel/rules/proto")
    _maybe(
        debian_rules,
        name = "rules_cc",
        path = "/usr/share/bazel/rules/cc",
        without_use_cpp_toolchain = [
            "cc/private/rules_impl/cc_flags_supplier.bzl",
            "cc/private/rules_impl/compiler_flag.bzl",
        ],
    )
