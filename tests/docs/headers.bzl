"""The headers that a library's users may include, as data of a test."""

def _headers(ctx):
    # buildifier: disable=native-cc-info
    headers = ctx.attr.library[CcInfo].compilation_context.headers
    return [DefaultInfo(files = headers, runfiles = ctx.runfiles(transitive_files = headers))]

headers = rule(
    doc = "All headers that a target which depends on `library` may include.",
    implementation = _headers,
    # buildifier: disable=native-cc-info
    attrs = {"library": attr.label(mandatory = True, providers = [CcInfo])},
)
