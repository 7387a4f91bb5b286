#include "tempera/tempera.h"

namespace tempera {

std::string_view version() {
  return TEMPERA_VERSION;
}

}  // namespace tempera
