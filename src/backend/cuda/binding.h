// Which function binds a row of the table, by the row's name.
#pragma once

#include <string_view>

#include "backend/cuda/rows.h"

namespace tempera::cuda {

// nullptr when there is none.
BindRow find_binding(std::string_view row);

}  // namespace tempera::cuda
