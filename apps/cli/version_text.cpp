#include "version_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Version.hpp>

#include "tempera/tempera.h"

namespace tempera::cli {

std::string version_text() {
  const BuildInfo info = build_info();
  const std::string backends = info.backends.empty() ? "none" : fmt::format("{}", fmt::join(info.backends, ", "));
  std::string text = fmt::format("tempera {}\ncommit    {}\nbackends  {}\n\n", version(), info.commit, backends);
  for (const BuildInfo::Library& library : info.libraries) {
    text += fmt::format("{:<15}{}{}\n", library.name, library.version,
                        library.linked ? "" : "  (headers; the library is opened when a card is used)");
  }
  return text + fmt::format("{:<15}{}\n", "CLI11", CLI11_VERSION);
}

}  // namespace tempera::cli
