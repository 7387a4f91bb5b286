// What --version prints and pictures carry.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "image/decoders.h"
#include "image/jpeg_writer.h"
#include "image/png.h"
#include "image/webp_writer.h"
#include "pipeline/commit.h"
#include "pipeline/devices.h"
#include "source/catalog/hash_store.h"
#include "tempera/tempera.h"
#include "text/unicode.h"

namespace tempera {

std::string_view version() {
  return TEMPERA_VERSION;
}

BuildInfo build_info() {
  const auto dotted = [](int major, int minor, int patch) { return fmt::format("{}.{}.{}", major, minor, patch); };
  BuildInfo info{.commit = commit(), .backends = built_backends(), .libraries = backend_libraries()};
  info.libraries.push_back({"libpng", libpng_version()});
  info.libraries.push_back({"libjpeg-turbo", libjpeg_version()});
  info.libraries.push_back({"libwebp", libwebp_version()});
  info.libraries.push_back({"zlib", zlib_library_version()});
  info.libraries.push_back({"LittleCMS", lcms_library_version()});
  info.libraries.push_back({"SQLite", sqlite_library_version()});
  info.libraries.push_back({"nettle", nettle_library_version()});
  info.libraries.push_back({"utf8proc", unicode_library_version()});
  info.libraries.push_back({"fmt", dotted(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)});
  info.libraries.push_back(
      {"nlohmann/json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)});
  return info;
}

}  // namespace tempera
