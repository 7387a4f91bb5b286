// Any bytes are an extra_model_paths.yaml or give Error(bad_file). The folders of one that is read have kinds and no
// zero bytes.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "source/catalog/import_paths.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    for (const tempera::ModelFolder& folder : tempera::parse_import_paths(text, "fuzz", "/folder")) {
      const bool sound =
          !folder.holds.empty() && folder.path.is_absolute() && folder.path.native().find('\0') == std::string::npos;
      if (!sound) std::abort();
    }
  } catch (const tempera::Error& error) {
    if (error.code() != tempera::ErrorCode::bad_file) std::abort();
  }
  return 0;
}
