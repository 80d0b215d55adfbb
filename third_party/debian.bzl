"""Repositories made from installed Debian packages.

A build that needs no network is the point: where a distribution already provides a dependency, its
package is used under the labels that upstream gives to it, so no BUILD file can tell the difference.
"""

def _debian_or_upstream(ctx):
    if ctx.path(ctx.attr.marker).exists:
        # Headers stay in /usr/include, which every compiler searches; only archives need a label.
        for archive, pattern in ctx.attr.archives.items():
            _merge_archives(ctx, archive, pattern)
        for path, content in ctx.attr.build_files.items():
            ctx.file(path, content)
        ctx.file("WORKSPACE", "workspace(name = \"{}\")\n".format(ctx.name))
    else:
        ctx.download_and_extract(
            url = ctx.attr.url,
            integrity = ctx.attr.integrity,
            stripPrefix = ctx.attr.strip_prefix,
        )
        if ctx.attr.upstream_build_file:
            ctx.symlink(ctx.attr.upstream_build_file, "BUILD.bazel")

def _merge_archives(ctx, archive, pattern):
    """Merges the archives that match `pattern` in Debian's library folders into one.

    A linker returns to an archive until it gives nothing more, so a single one has no link order.
    """
    result = ctx.execute(["sh", "-c", """
        set -e
        { echo "CREATE $1"; for a in /usr/lib/*-linux-gnu/$2; do echo "ADDLIB $a"; done; echo SAVE; } | ar -M
    """, "sh", archive, pattern])
    if result.return_code:
        fail("cannot merge {} into {}: {}".format(pattern, archive, result.stderr))

debian_or_upstream = repository_rule(
    doc = "Takes the Debian package when `marker` exists, the pinned upstream archive otherwise.",
    implementation = _debian_or_upstream,
    # Looked at again by each new Bazel server: a package may have been installed meanwhile.
    local = True,
    attrs = {
        "marker": attr.string(mandatory = True),
        "archives": attr.string_dict(doc = "Archive to make: pattern of the installed ones."),
        "build_files": attr.string_dict(doc = "Path: content."),
        "url": attr.string(mandatory = True),
        "integrity": attr.string(mandatory = True),
        "strip_prefix": attr.string(),
        "upstream_build_file": attr.label(allow_single_file = True),
    },
)

def _debian_rules(ctx):
    source = ctx.path(ctx.attr.path)
    if not source.exists:
        fail("{} is missing: run tools/setup build".format(source))
    result = ctx.execute(["cp", "-r", str(source) + "/.", "."])
    if result.return_code:
        fail(result.stderr)
    for path in ctx.attr.without_use_cpp_toolchain:
        content = ctx.read(path)
        content = content.replace(", \"use_cpp_toolchain\"", "").replace("use_cpp_toolchain()", "[]")
        ctx.file(path, content, executable = False)

debian_rules = repository_rule(
    doc = "A copy of a rules package of Debian's Bazel.",
    implementation = _debian_rules,
    local = True,
    attrs = {
        "path": attr.string(mandatory = True),
        "without_use_cpp_toolchain": attr.string_list(
            doc = "Files that load a symbol which Debian's Bazel does not have.",
        ),
    },
)

def _no_coverage_tools(ctx):
    ctx.file("BUILD", """
[
    filegroup(
        name = name,
        visibility = ["//visibility:public"],
    )
    for name in ["coverage_report_generator", "lcov_merger"]
]
""")

no_coverage_tools = repository_rule(
    doc = "Stands in for an archive that Bazel downloads for every test and uses for coverage only.",
    implementation = _no_coverage_tools,
)
