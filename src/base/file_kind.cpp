#include "base/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/error.h"

namespace tempera {
namespace {

// The first bytes without a byte order mark and white space, in small letters.
std::string beginning(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  while (!bytes.empty() && std::isspace(static_cast<unsigned char>(bytes.front())) != 0) bytes.remove_prefix(1);
  std::string text(bytes.substr(0, 32));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

void refuse_failed_downloads(std::string_view first_bytes, const std::filesystem::path& path) {
  const std::string text = beginning(first_bytes);
  const auto starts = [&](std::string_view prefix) { return text.starts_with(prefix); };
  if (starts("version https://git-lfs")) {
    fail(ErrorCode::bad_file,
         "'{}' is a Git LFS pointer and not the file itself: run 'git lfs pull' where it came from", path.string());
  }
  constexpr std::array kPages = {"<!doctype", "<html", "<head", "<body", "<?xml", "<!--"};
  if (std::any_of(kPages.begin(), kPages.end(), starts)) {
    fail(ErrorCode::bad_file,
         "'{}' is a web page and not the file itself: download the file again, with its download link and, if the "
         "site needs it, with a login",
         path.string());
  }
  constexpr std::array kErrors = {"access to model", "invalid username or password", "entry not found",
                                  "repository not found", "unauthorized"};
  if (std::any_of(kErrors.begin(), kErrors.end(), starts)) {
    fail(ErrorCode::bad_file, "'{}' is an error message of a download ('{}'): download the file again with a login",
         path.string(), text);
  }
}

}  // namespace tempera
