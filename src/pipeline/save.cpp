#include "base/error.h"
#include "image/png.h"
#include "tempera/tempera.h"

namespace tempera {

void save_png(const std::filesystem::path& path, const Image& image, bool replace) {
  if (!replace && std::filesystem::exists(path))
    fail(ErrorCode::invalid_argument, "'{}' exists: give another name", path.string());
  write_png(path, {image.width, image.height, image.rgb}, {{"parameters", image.parameters}},
            replace ? IfExists::replace : IfExists::fail);
}

}  // namespace tempera
