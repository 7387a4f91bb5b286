// Downloads that went wrong: files that have the right name, but hold another thing. Every reader of files checks this
// before its own format.
#pragma once

#include <filesystem>
#include <string_view>

namespace tempera {

// Throws Error(bad_file) if the first bytes of a file are those of a web page, of a Git LFS pointer or of the error
// text of a file hub.
void refuse_failed_downloads(std::string_view first_bytes, const std::filesystem::path& path);

}  // namespace tempera
